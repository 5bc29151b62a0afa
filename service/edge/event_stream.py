"""Server-Sent Events (WHATWG HTML, section 9.2) as an answer: kept alive, and over when anybody goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from service.contracts import JobEvent
from service.edge.disconnect import while_connected
from service.edge.job_schemas import event_document
from service.edge.problems import problem_body
from service.errors import InpaintError

KEEP_ALIVE = 15.0  # seconds of silence after which proxies begin to think of closing
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def problem_event(error: InpaintError) -> bytes:
    """The event that ends a stream where an error did."""
    return format_sse_event(event="problem", data_str=problem_body(error).decode())


class EventStream(EventSourceResponse):
    """The answer that tells `events`, each in bytes, until the last one, until the watcher leaves, or until `stopping`
    is set. `fault` tells the error that ends them, if one does.

    A watcher that is left without a terminal event comes back with Last-Event-ID, as browsers do.
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes],
        stopping: asyncio.Event,
        *,
        fault: Callable[[InpaintError], bytes] = problem_event,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._chunks = event_chunks(events, stopping, fault=fault)
        super().__init__(self._chunks, headers={**HEADERS, **(headers or {})})

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry. Raises ClientDisconnect when the watcher leaves."""
        async with aclosing(self._chunks):
            await while_connected(receive, self.stream_response(send))


async def event_chunks(
    events: AsyncGenerator[bytes],
    stopping: asyncio.Event,
    *,
    keep_alive: float = KEEP_ALIVE,
    fault: Callable[[InpaintError], bytes] = problem_event,
) -> AsyncGenerator[bytes]:
    """The events, and a comment after each `keep_alive` seconds of silence.

    The stream's status is sent by then: an error on the way becomes an event, and ends it.
    """
    stopped = asyncio.ensure_future(stopping.wait())
    upcoming = asyncio.ensure_future(anext(events, None))
    try:
        while not stopped.done():
            await asyncio.wait((upcoming, stopped), timeout=keep_alive, return_when=asyncio.FIRST_COMPLETED)
            if not upcoming.done():
                if not stopped.done():
                    yield KEEPALIVE_COMMENT
                continue
            event = upcoming.result()
            if event is None:
                return
            yield event
            upcoming = asyncio.ensure_future(anext(events, None))
    except InpaintError as error:
        yield fault(error)
    finally:
        upcoming.cancel()
        stopped.cancel()
        await asyncio.gather(upcoming, stopped, return_exceptions=True)
        await events.aclose()


async def job_event_bytes(events: AsyncGenerator[JobEvent]) -> AsyncGenerator[bytes]:
    """A job's events as they are told: name, id and document."""
    async with aclosing(events):
        async for event in events:
            yield format_sse_event(
                event=event.kind.value, data_str=event_document(event).model_dump_json(), id=event.id or None
            )
