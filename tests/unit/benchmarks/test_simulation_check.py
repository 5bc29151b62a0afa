"""Both systems' requests are counted alike, from the warm-up's end, and compared round by round."""

from __future__ import annotations

import pytest

from benchmarks.fleet.workload import Request
from benchmarks.measuring import Percentiles
from benchmarks.simulation_check import (
    CELLS,
    WARM_UP,
    CheckReport,
    Seen,
    markdown,
    row_of,
    seen,
    simulated,
    timing_of,
)
from service.contracts import Priority
from service.worker.profile import BatchProfile


def request(number: int, at: float) -> Request:
    return Request(number, at, 1, 20, Priority.INTERACTIVE, "c")


def test_requests_of_the_warm_up_are_not_counted() -> None:
    requests = [request(0, WARM_UP - 1), request(1, WARM_UP + 1), request(2, WARM_UP + 10)]
    found = seen(requests, [WARM_UP + 50, WARM_UP + 3, WARM_UP + 14])
    assert found.mean == pytest.approx(3.0)
    assert found.throughput == pytest.approx(1 / 10)


def test_what_the_service_adds_is_shared_out_and_none_of_it_lost() -> None:
    timing = timing_of(0.04, 0.001)
    parts = (timing.submit_seconds, timing.claim_seconds, timing.prepare_seconds, timing.finish_seconds)
    assert sum(parts) == pytest.approx(0.04)
    assert timing.turn_seconds == 0.001


def test_a_simulated_request_alone_takes_its_steps_and_what_the_service_adds() -> None:
    profile = BatchProfile({1: 0.030, 8: 0.1}, 0.0, 0.0)
    found = simulated(CELLS[0], [request(0, WARM_UP), request(1, WARM_UP + 9)], profile, timing_of(0.04, 0.0))
    assert found.latency.p99 == pytest.approx(20 * 0.030 + 0.04)


def test_the_simulation_is_told_as_a_multiple_of_the_real_system_in_the_same_round() -> None:
    def one(mean: float) -> Seen:
        return Seen(mean, Percentiles(mean, 2 * mean, 3 * mean), 5.0)

    row = row_of(CELLS[0], 2.0, 80, [(one(1.0), one(0.9)), (one(2.0), one(2.2))])
    assert row.mean_ratio.least == pytest.approx(0.9)
    assert row.mean_ratio.most == pytest.approx(1.1)
    text = markdown(CheckReport("a machine", 2, 40.0, 0.04, 0.001, [row]), "the command")
    assert "| 1 | step | 40% (2.00/s) | 80 |" in text
