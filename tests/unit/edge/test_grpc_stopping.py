"""Streams that end when the server begins to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from service.edge.grpc_stopping import until_stopping
from service.errors import JobNotFound, NotReady


class Source:
    """Tells what was put into it, and whether it was closed."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[int | None] = asyncio.Queue()
        self.closed = False

    async def items(self) -> AsyncGenerator[int]:
        try:
            while (item := await self.news.get()) is not None:
                if item < 0:
                    raise JobNotFound("no such job")
                yield item
        finally:
            self.closed = True


async def test_items_pass_until_their_end() -> None:
    source = Source()
    for item in (1, 2, None):
        source.news.put_nowait(item)
    assert [item async for item in until_stopping(asyncio.Event(), source.items())] == [1, 2]
    assert source.closed


async def test_a_stream_that_waits_ends_when_the_server_stops() -> None:
    source, stopping = Source(), asyncio.Event()
    source.news.put_nowait(1)
    watched = until_stopping(stopping, source.items())
    assert await anext(watched) == 1
    upcoming = asyncio.ensure_future(anext(watched))
    stopping.set()
    with pytest.raises(NotReady, match="stopping"):
        await upcoming
    assert source.closed


async def test_an_error_of_the_stream_is_the_streams() -> None:
    source = Source()
    source.news.put_nowait(-1)
    with pytest.raises(JobNotFound):
        await anext(until_stopping(asyncio.Event(), source.items()))
    assert source.closed


async def test_a_watcher_that_leaves_closes_the_stream() -> None:
    source = Source()
    source.news.put_nowait(1)
    watched = until_stopping(asyncio.Event(), source.items())
    await anext(watched)
    await watched.aclose()
    assert source.closed


async def test_cancelling_a_wait_closes_the_stream() -> None:
    source = Source()
    upcoming = asyncio.ensure_future(anext(until_stopping(asyncio.Event(), source.items())))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    upcoming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upcoming
    assert source.closed
