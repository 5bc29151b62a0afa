"""Seconds that a device was at work, told while calls of two threads come and go."""

from __future__ import annotations

import pytest

from service.metrics import REGISTRY
from service.worker.busy_time import BusyTime


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("service.worker.busy_time.perf_counter", made)
    return made


def told() -> float:
    return REGISTRY.get_sample_value("inpaint_gpu_busy_seconds_total") or 0.0


def test_idle_time_between_two_calls_is_not_told(clock: Clock) -> None:
    busy, before = BusyTime(), told()
    for _ in range(2):
        clock.now += 5
        with busy.call():
            clock.now += 2
    assert told() - before == pytest.approx(4)


def test_two_calls_at_once_count_once_and_are_told_as_soon_as_one_ends(clock: Clock) -> None:
    busy, before = BusyTime(), told()
    with busy.call():
        clock.now += 1
        with busy.call():
            clock.now += 2
        assert told() - before == pytest.approx(3)
        clock.now += 4
    assert told() - before == pytest.approx(7)


def test_a_call_that_fails_counts(clock: Clock) -> None:
    busy, before = BusyTime(), told()

    def fail() -> None:
        with busy.call():
            clock.now += 3
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert told() - before == pytest.approx(3)
