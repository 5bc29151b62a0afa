"""The simulated fleet against what is known without it: queueing theory, conservation, and the paper's ideal."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from benchmarks.arrivals import poisson_arrivals
from benchmarks.fleet.capacity import requests_a_second, seconds_alone
from benchmarks.fleet.run import Claimer, Plant, simulate
from benchmarks.fleet.timing import NO_TIME, Failures, Timing
from benchmarks.fleet.workload import Mix, Request, draw_requests
from benchmarks.ideal import ideal_latencies
from benchmarks.simulated import Curve
from service.contracts import Priority
from service.worker.profile import BatchProfile
from service.worker.scheduler import Limits

ONE_SECOND = BatchProfile({1: 1.0}, 0.0, 0.0, steps=1)
ONE_STEP = Mix(steps=((1, 1.0),))
GROWING = Curve("growing", 0.010, 0.005)
PROFILE = BatchProfile({size: GROWING.seconds(size) for size in (1, 2, 4, 8)}, 0.02, 0.03)
MIX = Mix(crops=((1, 0.8), (3, 0.2)), steps=((20, 0.7), (40, 0.3)), batch_share=0.2, clients=8)
FOR_EVER = 1e9


def plant(workers: int = 1, batching: Literal["step", "request"] = "step") -> Plant:
    return Plant(workers, PROFILE, Limits(8, batching), Timing(), deadline=FOR_EVER)


def requests_at(load: float, workers: int, seconds: float, seed: int = 1) -> tuple[Request, ...]:
    return draw_requests(load * workers * requests_a_second(PROFILE, MIX), seconds, MIX, seed=seed)


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_one_place_with_a_constant_step_waits_as_an_m_d_1_queue_does(load: float) -> None:
    requests = draw_requests(load, 10_000 / load, ONE_STEP, seed=1)
    observed = simulate(Plant(1, ONE_SECOND, Limits(1), NO_TIME, deadline=FOR_EVER), requests, seed=0)
    wait = np.mean([job.latency - 1.0 for job in observed.jobs])
    assert wait == pytest.approx(load / (2 * (1 - load)), rel=0.05)  # Pollaczek-Khinchine, service of 1 s
    assert observed.busy_seconds / observed.watched_seconds == pytest.approx(load, rel=0.02)


@pytest.mark.parametrize("batching", ["step", "request"])
def test_jobs_in_the_system_are_the_rate_times_their_latency(batching: Literal["step", "request"]) -> None:
    observed = simulate(plant(3, batching), requests_at(0.7, 3, 60.0), seed=0)
    after_submit = [job.latency - Timing().submit_seconds for job in observed.jobs]
    in_system = observed.area_in_system / observed.ended_at
    rate = len(observed.jobs) / observed.ended_at
    assert in_system == pytest.approx(rate * np.mean(after_submit), rel=1e-6)


@pytest.mark.parametrize("batching", ["step", "request"])
def test_latencies_are_those_of_a_device_with_no_cost_but_its_steps(
    batching: Literal["step", "request"],
) -> None:
    arrivals = poisson_arrivals(8.0, 100.0, steps=(10, 20, 40), seed=3)
    requests = [Request(one.seed, one.at, 1, one.steps, Priority.INTERACTIVE, "c") for one in arrivals]
    profile = BatchProfile({size: GROWING.seconds(size) for size in (1, 8)}, 0.0, 0.0)
    # Some time to decode, however short: else nothing would be claimed before a place is free.
    timing = replace(NO_TIME, prepare_seconds=1e-9)
    whole = Plant(1, profile, Limits(8, batching), timing, deadline=FOR_EVER)
    mine = [job.latency for job in simulate(whole, requests, seed=0).jobs]
    ideal = ideal_latencies(arrivals, GROWING, 8, whole_requests=batching == "request")
    assert np.mean(mine) == pytest.approx(np.mean(ideal), rel=0.02)
    assert np.percentile(mine, 95) == pytest.approx(np.percentile(ideal, 95), rel=0.02)


def test_a_request_alone_takes_what_its_parts_take() -> None:
    request = Request(0, 0.0, 1, 20, Priority.INTERACTIVE, "c")
    (job,) = simulate(plant(5), [request], seed=0).jobs
    assert job.latency == pytest.approx(seconds_alone(PROFILE, 20, Timing()))


def test_a_backlog_is_done_at_the_rate_of_full_batches() -> None:
    requests = [replace(request, at=0.0) for request in requests_at(1.0, 2, 100.0)]
    observed = simulate(plant(2), requests, seed=0)
    capacity = 2 * requests_a_second(PROFILE, MIX, Timing().turn_seconds)
    assert len(requests) / observed.ended_at == pytest.approx(capacity, rel=0.1)


def test_no_step_holds_more_items_than_there_are_places() -> None:
    observed = simulate(plant(2), requests_at(1.5, 2, 30.0), seed=0)
    assert max(observed.batches) == 8


def test_the_same_seed_gives_the_same_run() -> None:
    def run(seed: int) -> list[float]:
        return [job.ended_at for job in simulate(plant(4), requests_at(0.7, 4, 20.0), seed=seed).jobs]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_what_dying_workers_held_is_done_by_others_and_nothing_is_lost() -> None:
    slow_around = Timing(
        claim_seconds=0.5, prepare_seconds=0.5, finish_seconds=0.5
    )  # so that some die in there
    failing = replace(plant(4), failures=Failures(mean_seconds=20.0, restart_seconds=5.0), timing=slow_around)
    observed = simulate(failing, requests_at(0.4, 4, 120.0), seed=0)
    counts = observed.counts
    assert counts.redelivered > 0
    assert counts.finished + counts.dead_lettered == counts.submitted == len(observed.jobs)
    redone = [job.latency for job in observed.jobs if job.attempts > 1 and job.visible_at is not None]
    assert min(redone) > 15.0 - 4.0  # the lease, renewed at most so long before the death


def test_what_could_not_end_in_time_is_refused_and_nothing_is_begun_after_its_deadline() -> None:
    patient = replace(plant(1), deadline=10.0)
    observed = simulate(patient, requests_at(2.0, 1, 120.0), seed=0)
    counts = observed.counts
    assert counts.refused > 0.3 * counts.submitted
    assert counts.finished + counts.expired == counts.submitted
    assert 0 < counts.expired < 0.2 * counts.submitted  # those that others overtook in the fair order
    assert max(job.claimed_at - job.request.at for job in observed.jobs if job.claimed_at is not None) <= 10.0


def test_with_more_workers_a_job_wakes_more_of_them() -> None:
    few, many = (simulate(plant(workers), requests_at(0.5, workers, 10.0), seed=0) for workers in (2, 20))
    assert many.counts.claims / many.counts.submitted > 5 * few.counts.claims / few.counts.submitted


def test_the_emptiest_worker_serves_sooner_than_whichever_comes_first() -> None:
    requests = requests_at(0.5, 10, 20.0)
    any_one = simulate(plant(10), requests, seed=0)
    emptiest = simulate(replace(plant(10), claimer=Claimer.EMPTIEST), requests, seed=0)
    latencies = [np.mean([job.latency for job in run.jobs]) for run in (any_one, emptiest)]
    assert latencies[1] < 0.9 * latencies[0]
