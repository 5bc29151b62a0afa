"""Arrivals are those of a Poisson process, the same for every contender, whatever becomes of the requests."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean

import pytest

from benchmarks.arrivals import poisson_arrivals


def test_the_same_seed_gives_the_same_arrivals_and_another_one_others() -> None:
    first = poisson_arrivals(5, 100, steps=(10, 20), seed=1)
    assert poisson_arrivals(5, 100, steps=(10, 20), seed=1) == first
    assert poisson_arrivals(5, 100, steps=(10, 20), seed=2) != first


def test_they_come_in_order_within_the_time_at_the_rate_asked_for() -> None:
    times = [arrival.at for arrival in poisson_arrivals(50, 400, steps=(20,), seed=3)]
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < 400
    assert len(times) == pytest.approx(50 * 400, rel=0.03)


def test_their_gaps_vary_as_much_as_they_last() -> None:
    """The squared deviation of an exponential gap is the square of its mean; of even gaps it is 0."""
    times = [arrival.at for arrival in poisson_arrivals(10, 2000, steps=(20,), seed=4)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean = fmean(gaps)
    assert fmean((gap - mean) ** 2 for gap in gaps) == pytest.approx(mean**2, rel=0.1)


def test_each_draws_one_of_the_steps() -> None:
    steps = [arrival.steps for arrival in poisson_arrivals(20, 200, steps=(10, 40), seed=5)]
    assert set(steps) == {10, 40}
    assert fmean(steps) == pytest.approx(25, rel=0.1)
