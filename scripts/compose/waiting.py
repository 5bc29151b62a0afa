"""Waiting for what a stack shall do, with a bound, and the error for what it did not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

POLL = 0.25  # seconds
PATIENCE = 240.0  # seconds; a bound for what is broken, on a machine that is busy with other things


class CheckError(Exception):
    """The stack did not do what it should."""


def require(holds: bool, otherwise: str) -> None:
    """Raise CheckError, saying what is otherwise, unless it holds."""
    if not holds:
        raise CheckError(otherwise)


def await_answer(hoped: str, ask: Callable[[], Answer | None]) -> Answer:
    """Ask until the answer is not None, and return it. CheckError where it stays None for too long."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(POLL)
    raise CheckError(f"In {PATIENCE:.0f} s it did not come true that {hoped}.")


def await_that(hoped: str, holds: Callable[[], bool]) -> None:
    """Ask until it holds. CheckError where it does not for too long."""
    await_answer(hoped, lambda: True if holds() else None)
