"""SIGTERM and SIGINT end a run in good order: after the step under way, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

# A preempted job has done what it was asked to; Ctrl-C is told apart, as shells do.
EXIT_CODES = {signal.SIGTERM: 0, signal.SIGINT: 130}


class StopSignals:
    """A context in which the first signal is only noted in `received`; a second one acts as it always does."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if (
            threading.current_thread() is threading.main_thread()
        ):  # Python lets no other thread handle signals
            self._handlers = {number: signal.signal(number, self._note) for number in EXIT_CODES}
        return self

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """The status to exit with; that of SIGTERM when another process received the signal."""
        return EXIT_CODES[self.received or signal.SIGTERM]
