"""What the plans add up to, round by round: nobody starves, no place is idle while a job waits, nothing waits long.

A round is a step. The worker is simulated; a prepared job is one that was claimed and decoded.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.worker.scheduler import JobView, Limits, Plan
from tests.unit.worker.simulated_worker import HeldJob, Request, SimulatedWorker

INTERACTIVE, BATCH = 4.0, 1.0
MOST_STEPS = 6

places = st.integers(1, 8)
prepare = st.integers(1, 4)
requests = st.lists(
    st.builds(
        Request,
        id=st.uuids().map(str),
        items=st.one_of(st.just(1), st.integers(1, 30)),
        steps=st.integers(1, MOST_STEPS),
        weight=st.sampled_from([INTERACTIVE, BATCH]),
        arrives=st.integers(0, 40),
    ),
    max_size=25,
)


def singles(count: int, *, steps: int = 5, each_round: int = 1) -> list[Request]:
    """A stream of requests of one item, so many in each round."""
    return [Request(f"single-{index}", steps=steps, arrives=index // each_round) for index in range(count)]


def ignore(worker: SimulatedWorker, jobs: list[JobView], planned: Plan) -> None:
    """Watch nothing."""


def hold_the_limits(worker: SimulatedWorker, jobs: list[JobView], planned: Plan) -> None:
    """Never over the limit, no place empty beside a ready item, and few jobs held that don't run."""
    running = worker.running + len(planned.join)
    assert running <= worker.limits.places
    assert running == worker.limits.places or len(planned.join) == sum(job.ready for job in jobs)
    waiting = [job for job in jobs if not job.running and job.id not in planned.join]
    assert len(waiting) <= worker.limits.places


@settings(deadline=None)
@given(requests, places, prepare, st.integers(0, 6))
def test_every_job_is_finished_and_the_limits_hold(
    arriving: list[Request], places: int, prepare: int, expected: int
) -> None:
    limits = Limits(places, prepare_steps=expected)
    worker = SimulatedWorker(arriving, limits, prepare=prepare, watch=hold_the_limits)
    work = sum(request.items * request.steps for request in arriving)
    worker.run(rounds=100 + len(arriving) * (prepare + MOST_STEPS) + work)
    assert set(worker.finished) == {request.id for request in arriving}


def longest_life(job: Request, places: int, prepare: int) -> int:
    """Rounds from its claim to its end if an item of it joins whenever each other job that waits has had one."""
    turns = 2 * places + 2  # jobs with nothing in the batch that may be held beside it
    return prepare + job.items * turns * MOST_STEPS


@settings(deadline=None)
@given(
    st.integers(1, 20),
    st.sampled_from([INTERACTIVE, BATCH]),
    st.integers(1, MOST_STEPS),
    places,
    prepare,
    prepare,
)
@example(items=4, weight=INTERACTIVE, steps=4, places=2, prepare=1, expected=3)
def test_a_stream_of_newcomers_starves_nobody(
    items: int, weight: float, steps: int, places: int, prepare: int, expected: int
) -> None:
    big = Request("big", items=items, steps=MOST_STEPS, weight=weight)
    bound = longest_life(big, places, prepare)
    stream = singles(2 * bound, steps=steps, each_round=2)
    limits = Limits(places, prepare_steps=expected)
    worker = SimulatedWorker([big, *stream], limits, prepare=prepare, watch=hold_the_limits)
    worker.run_until_finished("big", at_most=bound)


@settings(deadline=None)
@given(places, prepare, st.integers(0, 4))
def test_big_jobs_that_outnumber_the_places_all_move(places: int, prepare: int, expected: int) -> None:
    big = [Request(f"big-{index}", items=40, steps=MOST_STEPS) for index in range(places + 2)]
    worker = SimulatedWorker(
        big, Limits(places, prepare_steps=expected), prepare=prepare, watch=hold_the_limits
    )
    worker.run(rounds=20 * MOST_STEPS)
    for job in worker.held.values():
        waits = [later - earlier for earlier, later in zip(job.joined, job.joined[1:], strict=False)]
        assert max(waits, default=0) <= 3 * MOST_STEPS


@settings(deadline=None)
@given(places, st.integers(1, MOST_STEPS), prepare, prepare, st.integers(1, 60))
def test_a_single_newcomer_waits_for_one_item_at_most_beside_a_job_of_640(
    places: int, steps: int, prepare: int, expected: int, arrives: int
) -> None:
    big = Request("big", items=640, steps=steps)
    small = Request("small", arrives=arrives + prepare)
    worker = SimulatedWorker(
        [big, small], Limits(places, prepare_steps=expected), prepare=prepare, watch=hold_the_limits
    )
    worker.run_until_finished("small", at_most=200)
    (joined,) = worker.finished["small"].joined
    assert joined - small.arrives <= prepare + steps


@settings(deadline=None)
@given(st.integers(2, 8), prepare)
def test_small_jobs_get_most_places_beside_a_big_one_of_the_lowest_weight(places: int, prepare: int) -> None:
    big = Request("big", items=640, weight=BATCH)
    stream = singles(400, each_round=2)
    worker = SimulatedWorker(
        [big, *stream], Limits(places, prepare_steps=prepare), prepare=prepare, watch=hold_the_limits
    )
    worker.run(rounds=200)
    share = len(worker.finished) / (len(worker.finished) + len(worker.held["big"].joined))
    assert share >= 0.8 * (places - 1) / places


def items_of(job: HeldJob) -> int:
    return len(job.joined)


def test_two_big_jobs_get_places_by_their_weights() -> None:
    big = [Request("batch", items=640, weight=BATCH), Request("interactive", items=640, weight=INTERACTIVE)]
    worker = SimulatedWorker(big, Limits(10, prepare_steps=1), watch=hold_the_limits)
    worker.run(rounds=100)
    ratio = items_of(worker.held["interactive"]) / items_of(worker.held["batch"])
    assert 3 <= ratio <= 5


@settings(deadline=None)
@given(places, prepare)
def test_a_place_is_taken_again_in_the_step_after_it_was_left(places: int, prepare: int) -> None:
    """Where the time to prepare is known, and jobs wait: no place is ever idle, and nothing waits in the worker."""
    backlog = [replace(request, arrives=0, steps=5 + index % 7) for index, request in enumerate(singles(100))]

    def watch(worker: SimulatedWorker, jobs: list[JobView], planned: Plan) -> None:
        if worker.now >= prepare and worker.queued:
            assert worker.running + len(planned.join) == places
        assert len(planned.join) == sum(job.ready for job in jobs)

    SimulatedWorker(backlog, Limits(places, prepare_steps=prepare), prepare=prepare, watch=watch).run(
        rounds=200
    )


@settings(deadline=None)
@given(requests, places, prepare, st.integers(0, 6))
def test_whole_requests_never_join_a_running_batch_and_all_are_finished(
    arriving: list[Request], places: int, prepare: int, expected: int
) -> None:
    def watch(worker: SimulatedWorker, jobs: list[JobView], planned: Plan) -> None:
        assert not planned.join or worker.running == 0
        assert len(planned.join) <= places

    limits = Limits(places, batching="request", prepare_steps=expected)
    worker = SimulatedWorker(arriving, limits, prepare=prepare, watch=watch)
    work = sum(request.items * request.steps for request in arriving)
    worker.run(rounds=100 + len(arriving) * (2 * prepare + MOST_STEPS) + work)
    assert set(worker.finished) == {request.id for request in arriving}


@settings(deadline=None)
@given(places, prepare)
def test_a_batch_of_whole_requests_follows_the_last_at_once(places: int, prepare: int) -> None:
    backlog = [replace(request, arrives=0, steps=5 + index % 7) for index, request in enumerate(singles(40))]

    def watch(worker: SimulatedWorker, jobs: list[JobView], planned: Plan) -> None:
        if worker.now >= prepare and worker.held:
            assert worker.running + len(planned.join) > 0

    limits = Limits(places, batching="request", prepare_steps=prepare)
    SimulatedWorker(backlog, limits, prepare=prepare, watch=watch).run(rounds=300)
