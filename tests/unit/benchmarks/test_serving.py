"""What a run counts: requests after the warm-up, from their intended arrival, and results within the time."""

from __future__ import annotations

import pytest

from benchmarks.arrivals import Arrival
from benchmarks.load import Served
from benchmarks.measuring import Percentiles
from benchmarks.serving import WARM_UP, Batching, Cell, Run, ServingReport, markdown, row_of, run_of
from benchmarks.simulated import FLAT

CELL = Cell(FLAT, 0.8, (20,))


def served(at: float, visible_at: float) -> Served:
    return Served(Arrival(at, 20, 0), visible_at)


def run(p95: float) -> Run:
    return Run(Percentiles(0.1, p95, 9.0), 16.0, 100, 0.5, 0.9)


def test_latency_counts_from_the_intended_arrival() -> None:
    assert served(3.0, 4.25).latency == pytest.approx(1.25)


def test_requests_of_the_warm_up_are_not_counted() -> None:
    counted = run_of([served(WARM_UP - 1, WARM_UP + 50), served(WARM_UP + 1, WARM_UP + 2)], 0.1, 0.2)
    assert counted.requests == 1
    assert counted.latency.p99 == pytest.approx(1.0)


def test_throughput_is_of_what_was_finished_between_the_warm_up_and_the_last_arrival() -> None:
    times = [(WARM_UP + 1, WARM_UP + 2), (WARM_UP + 3, WARM_UP + 4), (WARM_UP + 10, WARM_UP + 11)]
    assert run_of([served(*pair) for pair in times], 0.1, 0.2).throughput == pytest.approx(2 / 10)


def test_the_ratio_of_p95_is_taken_in_the_same_round() -> None:
    runs: dict[tuple[Cell, Batching], list[Run]] = {
        (CELL, "request"): [run(2.0), run(4.0)],
        (CELL, "step"): [run(1.0), run(1.0)],
    }
    row = row_of(CELL, "step", 16.0, runs)
    assert (row.p95_ratio.least, row.p95_ratio.most) == (0.25, 0.5)
    assert row.requests == 200


def test_the_table_states_curves_steps_and_load() -> None:
    runs: dict[tuple[Cell, Batching], list[Run]] = {(CELL, "request"): [run(2.0)]}
    rows = [row_of(CELL, "request", 16.0, runs)]
    text = markdown(ServingReport("a machine", 1, 30.0, rows, "m", {}), "the command")
    assert "flat: 20 ms + 0 ms x batch" in text
    assert "| flat | 20 | 80% (16.00/s) | request |" in text
