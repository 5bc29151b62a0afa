"""Waiting for a condition, while everything else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized
from time import monotonic

PATIENCE = 60.0  # seconds; a bound for broken code on a busy machine, never waited for
POLL = 0.01


async def until(condition: Callable[[], object]) -> None:
    """Poll `condition` until it holds."""
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, "the condition never held"
        await asyncio.sleep(POLL)


async def growth(entries: Sized, by: int) -> None:
    """Wait until `entries` are that many more than now."""
    wanted = len(entries) + by
    await until(lambda: len(entries) >= wanted)
