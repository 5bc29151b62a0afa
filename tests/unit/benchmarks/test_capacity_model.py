"""Devices grow with the rate and have spares; a queue server bears fewer workers the more of them a job wakes."""

from __future__ import annotations

import pytest

from benchmarks.capacity_model import (
    Assumptions,
    PayloadCost,
    ServerCost,
    devices,
    dollars_of_devices,
    memory_bytes,
    server_share,
    workers_of_a_server,
)

ASSUMED = Assumptions(utilisation=0.5, spare=0.1, server_share=0.5, gpu_hour=3.6)
COST = ServerCost(job=1000.0, look=100.0, empty_claim=50.0, worker_second=2000.0, wake_of_one=0.0)


def test_devices_are_those_at_the_utilisation_and_spares_at_least_one() -> None:
    assert devices(1.0, 2.0, ASSUMED) == 1 + 1
    assert devices(1000.0, 2.0, ASSUMED) == 1000 + 100


def test_a_thousand_pictures_cost_the_time_of_their_devices() -> None:
    # 1 picture a second, 3600 an hour for 3.60 dollars, and a tenth more.
    assert dollars_of_devices(2.0, ASSUMED) == pytest.approx(1.1)


def test_a_servers_share_is_that_of_jobs_looks_claims_in_vain_and_workers() -> None:
    share = server_share(11, rate=10.0, seconds_a_job=2.0, claims_of_a_worker=1.0, cost=COST)
    assert share == pytest.approx((10 * (1000 + 2 * 100 + 10 * 50) + 11 * 2000) / 1e6)


def test_a_server_bears_fewer_workers_where_each_job_wakes_them_all() -> None:
    all_of_them = workers_of_a_server(2.0, 1.0, 1.0, COST, ASSUMED)
    one_of_them = workers_of_a_server(2.0, 1.0, 0.0, COST, ASSUMED)
    assert one_of_them == int(0.5e6 / (1000 + 100 + 2000))
    assert 0 < all_of_them < one_of_them
    assert server_share(all_of_them, all_of_them * 1.0, 1.0, 1.0, COST) <= 0.5
    assert server_share(all_of_them + 1, all_of_them + 1, 1.0, 1.0, COST) > 0.5


def test_memory_is_that_of_the_results_that_are_kept() -> None:
    assert memory_bytes(10.0, 60.0, 100_000, 7_000) == pytest.approx(64_200_000)


def test_a_job_with_the_bytes_of_the_threshold_takes_twice_as_long_as_one_without() -> None:
    payload = PayloadCost(fixed=0.004, byte=1e-8)
    assert payload.threshold == pytest.approx(400_000)
    assert payload.jobs_a_second(0) == pytest.approx(2 * payload.jobs_a_second(payload.threshold))
