"""SIGTERM and Ctrl-C as state: the first asks for an orderly stop, a second one for an end at once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Notes both signals inside its block; a context manager for the main thread.

    Nothing is raised out of nowhere: an exception between the start of a process and the note of it would
    leave that process behind. Whoever starts things looks at `first` between two of them.
    """

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.hurried = False
        self._on_stop: Callable[[], None] = _do_nothing
        self._previous: dict[signal.Signals, Any] = {}

    def call(self, on_stop: Callable[[], None]) -> None:
        """Call `on_stop` at the first signal; now, if it has come."""
        self._on_stop = on_stop
        if self.first is not None:
            on_stop()

    def note(self, number: int) -> None:
        """Count a signal, also one that somebody else caught."""
        if self.first is not None:
            self.hurried = True
            return
        self.first = signal.Signals(number)
        self._on_stop()

    def __enter__(self) -> StopSignals:
        self._previous = {number: signal.signal(number, self._handle) for number in STOP_SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.note(number)


def _do_nothing() -> None:
    """Nobody asked to be called."""
