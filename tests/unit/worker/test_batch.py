"""A held job: what waits, runs and is done, and what is said of it."""

from __future__ import annotations

import numpy as np

from service.contracts import Priority, Progress
from service.worker.batch import HeldJob, Item
from tests.unit.worker.held_jobs import claim_of, held_job


def join(job: HeldJob, count: int) -> list[Item]:
    items = [job.waiting.popleft() for _ in range(count)]
    job.running += items
    return items


def encode(job: HeldJob) -> None:
    """Its next crop."""
    job.take_encoded(job.next_to_encode().crop, "latents")


def run_to_the_end(job: HeldJob, items: list[Item]) -> None:
    for item in items:
        while item.remaining:
            job.advance(item, step=9)


def test_before_its_picture_is_decoded_a_job_is_as_large_as_its_edge_said() -> None:
    view = HeldJob.of(claim_of(n=4), order=1, at=0.0, step=0).view
    assert (view.places, view.ready, view.running) == (4, 0, ())


def test_its_deadline_is_counted_from_the_claim() -> None:
    assert held_job().expires_at == 160.0


def test_items_are_ordered_by_candidate_so_that_the_first_one_is_encoded_first() -> None:
    items = held_job(n=2, crops=2).waiting
    assert [(item.candidate, item.crop, item.seed) for item in items] == [
        (0, 0, 7),
        (0, 1, 7),
        (1, 0, 8),
        (1, 1, 8),
    ]


def test_the_scheduler_sees_what_waits_and_how_long_what_runs_still_takes() -> None:
    job = held_job(n=3, priority=Priority.BATCH)
    encode(job)
    first, _ = join(job, 2)
    job.advance(first, step=7)
    view = job.view
    assert (view.places, view.ready, view.running, view.weight) == (1, 1, (2, 3), 1.0)
    assert view.waiting_since == 5, "nothing of it has left the batch since its claim"


def test_items_are_ready_in_their_order_as_their_crops_are_encoded_and_all_with_the_last_crop() -> None:
    job = held_job(n=2, crops=3)
    seen = []
    for _ in range(3):
        item = job.next_to_encode()
        seen.append((job.view.unencoded, job.view.encoding, job.view.ready))
        job.take_encoded(item.crop, "latents")
    assert seen == [(2, 1, 0), (1, 1, 1), (0, 1, 2)]
    assert (job.view.places, job.view.ready, job.view.encoding) == (6, 6, 0)


def test_a_crop_that_is_encoded_before_an_earlier_one_waits_for_it() -> None:
    job = held_job(crops=2)
    earlier, later = job.next_to_encode(), job.next_to_encode()
    job.take_encoded(later.crop, "latents")
    assert job.view.ready == 0
    job.take_encoded(earlier.crop, "latents")
    assert job.view.ready == 2


def test_a_finished_item_waits_for_the_decoder_until_its_fill_is_there() -> None:
    job = held_job()
    encode(job)
    (item,) = join(job, 1)
    run_to_the_end(job, [item])
    assert (job.view.running, job.view.undecoded) == ((), 1)
    job.take_fill(item, np.zeros((3, 64, 64), np.float32))
    assert job.view.undecoded == 0


def test_parked_items_keep_their_state_and_are_the_next_to_join() -> None:
    job = held_job(n=3)
    first, second = join(job, 2)
    second.state = "half done"
    job.park(1, step=8)
    assert job.running == [first]
    assert job.waiting[0] is second
    assert second.state == "half done"
    assert job.view.waiting_since == 8


def test_progress_is_the_mean_of_all_items() -> None:
    job = held_job(n=2, steps=4)
    assert job.progress == Progress(0, 4)
    (first,) = join(job, 1)
    run_to_the_end(job, [first])
    assert job.progress == Progress(2, 4)
    job.take_fill(first, np.zeros((3, 64, 64), np.float32))
    assert job.progress == Progress(2, 4)
    run_to_the_end(job, join(job, 1))
    assert job.progress == Progress(4, 4)


def test_a_candidate_is_complete_with_its_last_crop_in_whatever_order_they_come() -> None:
    job = held_job(n=1, crops=2)
    left, right = join(job, 2)
    run_to_the_end(job, [left, right])
    fills = [np.full((3, 64, 64), value, np.float32) for value in (1, 2)]
    assert job.take_fill(right, fills[1]) is None
    complete = job.take_fill(left, fills[0])
    assert complete is not None
    assert [fill[0, 0, 0] for fill in complete] == [1, 2]
    assert not job.fills, "fills are kept no longer than until their candidate is encoded"


def test_a_job_that_has_failed_wants_nothing_more() -> None:
    job = held_job(n=3, crops=2)
    encode(job)
    join(job, 1)
    job.next_to_encode()
    job.close()
    view = job.view
    assert (view.places, view.ready, view.running, view.unencoded, view.encoding) == (0, 0, (), 0, 0)
