"""Streams that would keep a server from stopping: they end when it begins to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

from service.errors import NotReady

T = TypeVar("T")


async def until_stopping(stopping: asyncio.Event, items: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """`items`, closed at the end; raises NotReady once `stopping` is set: the client goes on elsewhere."""
    stopped = asyncio.ensure_future(stopping.wait())
    upcoming = asyncio.ensure_future(_next(items))
    try:
        while True:
            await asyncio.wait((upcoming, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not upcoming.done():
                raise NotReady(
                    "The server is stopping. Call again; another one goes on from there.", retry_after=1
                )
            found = upcoming.result()
            if not found:
                return
            yield found[0]
            upcoming = asyncio.ensure_future(_next(items))
    finally:
        upcoming.cancel()
        stopped.cancel()
        await asyncio.gather(upcoming, stopped, return_exceptions=True)
        await items.aclose()


async def _next(items: AsyncGenerator[T]) -> tuple[T, ...]:
    """The next item, or nothing after the last."""
    async for item in items:
        return (item,)
    return ()
