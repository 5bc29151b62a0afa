"""SIGTERM and Ctrl-C as state: the first asks for an orderly stop, a second one for an end at once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """A stop signal came while the service was still starting."""


class StopSignals:
    """Handles both signals inside its block; a context manager for the main thread.

    Until `started` the first signal raises `Stopped`, so that a slow start can be left. Later ones are only
    noted: an exception out of nowhere would break the orderly stop.
    """

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.hurried = False
        self._on_stop: Callable[[], None] = _stop_start
        self._previous: dict[signal.Signals, Any] = {}

    def started(self, on_stop: Callable[[], None]) -> None:
        """From here on signals are only noted, and `on_stop` is called at the first one."""
        self._on_stop = on_stop

    def note(self, number: int) -> None:
        """Count a signal, also one that somebody else caught."""
        if self.first is None:
            self.first = signal.Signals(number)
        else:
            self.hurried = True

    def __enter__(self) -> StopSignals:
        self._previous = {number: signal.signal(number, self._handle) for number in STOP_SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        on_stop, self._on_stop = self._on_stop, _do_nothing
        self.note(number)
        on_stop()


def _stop_start() -> None:
    raise Stopped


def _do_nothing() -> None:
    """The stop is under way."""
