"""A job's events as Server-Sent Events (WHATWG HTML, section 9.2): kept alive, and over when anybody goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
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


class EventStream(EventSourceResponse):
    """The answer that tells `events` until the last one, until the watcher leaves, or until `stopping` is set.

    A watcher that is left without a terminal event comes back with Last-Event-ID, as browsers do.
    """

    def __init__(self, events: AsyncGenerator[JobEvent], stopping: asyncio.Event) -> None:
        self._chunks = event_chunks(events, stopping)
        super().__init__(self._chunks, headers=HEADERS)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry. Raises ClientDisconnect when the watcher leaves."""
        async with aclosing(self._chunks):
            await while_connected(receive, self.stream_response(send))


async def event_chunks(
    events: AsyncGenerator[JobEvent], stopping: asyncio.Event, keep_alive: float = KEEP_ALIVE
) -> AsyncGenerator[bytes]:
    """Each event as bytes, and a comment after each `keep_alive` seconds of silence.

    The stream's status is sent by then: an error on the way becomes an event `problem`, and ends it.
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
            yield _event_bytes(event)
            upcoming = asyncio.ensure_future(anext(events, None))
    except InpaintError as error:
        yield format_sse_event(event="problem", data_str=problem_body(error).decode())
    finally:
        upcoming.cancel()
        stopped.cancel()
        await asyncio.gather(upcoming, stopped, return_exceptions=True)
        await events.aclose()


def _event_bytes(event: JobEvent) -> bytes:
    return format_sse_event(
        event=event.kind.value, data_str=event_document(event).model_dump_json(), id=event.id or None
    )
