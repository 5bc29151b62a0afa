"""The stop signals as state."""

from __future__ import annotations

import signal

from service.signals import StopSignals


def test_the_first_signal_asks_for_an_orderly_stop_and_the_second_for_an_end_at_once() -> None:
    asked: list[bool] = []
    with StopSignals() as signals:
        signals.call(lambda: asked.append(signals.hurried))
        signal.raise_signal(signal.SIGTERM)
        assert not signals.hurried
        signal.raise_signal(signal.SIGINT)
    assert asked == [False]
    assert signals.first is signal.SIGTERM
    assert signals.hurried


def test_a_signal_from_before_is_not_lost() -> None:
    asked: list[bool] = []
    with StopSignals() as signals:
        signal.raise_signal(signal.SIGINT)
        signals.call(lambda: asked.append(True))
    assert asked == [True]


def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
