"""For processes that a test sends Ctrl-C: they must hear it also where the tests themselves run in the background."""

from __future__ import annotations

import signal


def hear_interrupts() -> None:
    """Call in the new process before it starts: a shell has what it starts in the background ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
