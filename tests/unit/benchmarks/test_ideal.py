"""On paper, a request that joins waits for a step, and one that may not waits for the whole batch."""

from __future__ import annotations

import pytest

from benchmarks.arrivals import Arrival
from benchmarks.ideal import ideal_latencies
from benchmarks.simulated import Curve

FLAT = Curve("flat", 1.0, 0.0)
EARLY, LATE = Arrival(0.0, 10, 0), Arrival(0.5, 10, 1)


def test_a_request_joins_at_the_next_step() -> None:
    assert ideal_latencies([EARLY, LATE], FLAT, 2, whole_requests=False) == [10.0, 10.5]


def test_with_whole_requests_it_waits_until_the_batch_has_run_empty() -> None:
    assert ideal_latencies([EARLY, LATE], FLAT, 2, whole_requests=True) == [10.0, 19.5]


def test_a_short_request_leaves_when_its_own_steps_are_done() -> None:
    short = Arrival(0.0, 2, 1)
    assert ideal_latencies([EARLY, short], FLAT, 2, whole_requests=True) == [10.0, 2.0]


def test_nobody_joins_a_full_batch() -> None:
    assert ideal_latencies([EARLY, LATE], FLAT, 1, whole_requests=False) == [10.0, 19.5]


def test_a_larger_batch_makes_steps_longer_where_the_curve_says_so() -> None:
    growing = Curve("growing", 0.0, 1.0)
    both = [EARLY, Arrival(0.0, 10, 1)]
    assert ideal_latencies(both, growing, 2, whole_requests=False) == pytest.approx([20.0, 20.0])


def test_a_gap_between_arrivals_is_not_counted() -> None:
    assert ideal_latencies([EARLY, Arrival(100.0, 10, 1)], FLAT, 2, whole_requests=True) == [10.0, 10.0]
