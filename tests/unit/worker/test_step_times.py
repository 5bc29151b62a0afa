"""Medians of the last steps by their size."""

from __future__ import annotations

from service.worker.step_times import FEWEST, HORIZON, KEPT, StepTimes


def times_of(batch: int, *seconds: float) -> StepTimes:
    times = StepTimes()
    for one in seconds:
        times.observe(batch, one)
    return times


def test_a_size_is_told_of_once_enough_steps_had_it() -> None:
    assert times_of(4, *[0.1] * (FEWEST - 1)).recent(4) == {}
    assert times_of(4, *[0.1] * FEWEST).recent(4, 8) == {4: 0.1}


def test_one_step_that_was_disturbed_does_not_show() -> None:
    assert times_of(2, *[0.1] * FEWEST, 9.0).recent(2) == {2: 0.1}


def test_the_latest_steps_count() -> None:
    assert times_of(2, *[0.4] * KEPT, *[0.1] * KEPT).recent(2) == {2: 0.1}


def test_what_is_long_ago_is_known_and_not_recent() -> None:
    times = times_of(8, *[0.4] * KEPT)
    for _ in range(HORIZON):
        times.observe(1, 0.1)
    assert times.recent(1, 8) == {1: 0.1}
    assert times.known() == {1: 0.1, 8: 0.4}
