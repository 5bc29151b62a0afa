"""What a worker holds: each job once, and what became of it is sent once."""

from __future__ import annotations

from service.contracts import Preview, Progress
from service.errors import QueueUnavailable
from service.queue.consumer import Claim
from service.worker.delivery import Delivery
from service.worker.holdings import Holdings
from tests.unit.worker.held_jobs import claim_of

NEVER = float("inf")


def delivery_of(claim: Claim) -> Delivery:
    return Delivery(claim, "succeeded", send=lambda: True, on_accepted=lambda: None, due=0.0, give_up=NEVER)


def holding(*job_ids: str) -> Holdings:
    holdings = Holdings()
    holdings.hold(map(claim_of, job_ids))
    return holdings


def test_a_job_is_held_until_it_is_delivered() -> None:
    holdings = holding("s0-1", "s0-2")
    holdings.settle("s0-1", delivery_of)
    assert set(holdings.job_ids) == {"s0-1", "s0-2"}
    delivery = holdings.due()
    assert delivery is not None
    assert holdings.delivered(delivery)
    assert holdings.job_ids == ("s0-2",)


def test_a_job_that_was_claimed_again_is_held_on_when_its_earlier_delivery_ends() -> None:
    holdings = holding("s0-1")
    holdings.settle("s0-1", delivery_of)
    holdings.hold([claim_of("s0-1")])
    delivery = holdings.due()
    assert delivery is not None
    assert not holdings.delivered(delivery)
    assert holdings.job_ids == ("s0-1",)


def test_what_became_of_a_job_is_settled_once_and_only_while_it_is_held() -> None:
    holdings = holding("s0-1")
    for _ in range(2):
        holdings.settle("s0-1", delivery_of)
    assert len(holdings.job_ids) == 1
    holdings.settle("s0-9", delivery_of)
    assert holdings.job_ids == ("s0-1",)


def test_a_job_to_be_delivered_is_not_let_go() -> None:
    holdings = holding("s0-1", "s0-2")
    holdings.settle("s0-1", delivery_of)
    assert not holdings.let_go("s0-1")
    assert holdings.let_go("s0-2")
    assert holdings.job_ids == ("s0-1",)


def test_progress_is_reported_once_and_only_of_what_is_worked_on() -> None:
    holdings = holding("s0-1", "s0-2")
    holdings.note("s0-1", Progress(1, 3))
    holdings.note("s0-1", Progress(2, 3))
    holdings.note("s0-9", Progress(1, 3))
    assert [progress for _, progress in holdings.reports()] == [Progress(2, 3), None]
    holdings.settle("s0-1", delivery_of)
    assert [(claim.job.id, progress) for claim, progress in holdings.reports()] == [("s0-2", None)]


def test_a_delivery_that_fails_waits_for_its_next_try() -> None:
    def refuse() -> bool:
        raise QueueUnavailable("gone")

    holdings = holding("s0-1", "s0-2")
    refused = Delivery(claim_of("s0-1"), "succeeded", refuse, lambda: None, due=0.0, give_up=NEVER)
    holdings.settle("s0-1", lambda _: refused)
    holdings.settle("s0-2", delivery_of)
    assert holdings.due() is refused
    assert not refused.settled(give_up=NEVER, retry=1000.0)
    second = holdings.due()
    assert second is not None
    assert second.job_id == "s0-2"
    assert refused.settled(give_up=0.0, retry=1000.0), "nobody waits for it any more"


def test_a_preview_is_told_with_the_next_progress_and_the_newest_alone() -> None:
    holdings = holding("s0-1")
    holdings.note("s0-1", Progress(1, 9, Preview(b"first")))
    holdings.note("s0-1", Progress(2, 9, Preview(b"second")))
    holdings.note("s0-1", Progress(3, 9))
    assert [progress for _, progress in holdings.reports()] == [Progress(3, 9, Preview(b"second"))]
    holdings.note("s0-1", Progress(4, 9))
    assert [progress for _, progress in holdings.reports()] == [Progress(4, 9)]


def test_a_preview_that_comes_late_waits_for_the_next_progress() -> None:
    holdings = holding("s0-1")
    holdings.note("s0-1", Progress(5, 9))
    holdings.reports()
    holdings.note("s0-1", Progress(4, 9, Preview(b"late")))
    assert [progress for _, progress in holdings.reports()] == [None]
    holdings.note("s0-1", Progress(6, 9))
    assert [progress for _, progress in holdings.reports()] == [Progress(6, 9, Preview(b"late"))]
