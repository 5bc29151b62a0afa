"""The stop signals as state."""

from __future__ import annotations

import signal

import pytest

from service.signals import Stopped, StopSignals


def test_a_signal_during_the_start_leaves_it() -> None:
    with pytest.raises(Stopped), StopSignals():
        signal.raise_signal(signal.SIGTERM)


def test_only_the_first_signal_interrupts_the_start() -> None:
    with StopSignals() as signals:
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert signals.first is signal.SIGINT
    assert signals.hurried


def test_after_the_start_the_first_signal_asks_for_an_orderly_stop() -> None:
    asked: list[bool] = []
    with StopSignals() as signals:
        signals.started(lambda: asked.append(signals.hurried))
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert asked == [False]
    assert signals.first is signal.SIGTERM
    assert signals.hurried


def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
