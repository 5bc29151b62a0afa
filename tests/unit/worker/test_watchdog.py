"""The look from outside: readiness as a metric, and the end of a process whose device hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

import pytest

from service.metrics import REGISTRY
from service.worker.pulse import Pulse
from service.worker.watchdog import Watchdog

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.worker.watchdog.LOOK_EVERY", 0.01)


def until(condition: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, "the condition never held"
        threading.Event().wait(0.01)


def told_ready() -> float | None:
    return REGISTRY.get_sample_value("inpaint_worker_ready")


def test_readiness_is_told_as_it_changes_and_is_gone_at_the_end() -> None:
    ready = threading.Event()
    watchdog = Watchdog(Pulse(15.0), ready.is_set, lambda: None)
    watchdog.start()
    until(lambda: told_ready() == 0)
    ready.set()
    until(lambda: told_ready() == 1)
    watchdog.stop()
    assert told_ready() == 0


def test_a_device_that_hangs_ends_the_process_and_a_slow_one_does_not() -> None:
    hung = threading.Event()
    clock = [0.0]
    pulse = Pulse(15.0, lambda: clock[0])
    watchdog = Watchdog(pulse, lambda: True, hung.set)
    with pulse.device_call(expected=0.1):
        clock[0] = 20.0
        watchdog.start()
        until(lambda: told_ready() == 1)
        assert not hung.is_set()
        clock[0] = 31.0
        assert hung.wait(PATIENCE)
    watchdog.stop()


def test_a_call_that_comes_back_after_its_process_was_stopped_ends_nothing() -> None:
    class JustContinued(Pulse):
        looks = 0

        @property
        def hung(self) -> bool:
            self.looks += 1
            return self.looks == 1

    pulse, hung = JustContinued(15.0), threading.Event()
    watchdog = Watchdog(pulse, lambda: True, hung.set)
    watchdog.start()
    until(lambda: pulse.looks >= 3)
    watchdog.stop()
    assert not hung.is_set()
