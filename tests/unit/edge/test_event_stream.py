"""A job's events on the wire, and who may end the stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

from service.contracts import EventKind, Failure, JobEvent
from service.edge.event_stream import event_chunks, job_event_bytes
from service.errors import QueueLost

QUEUED = JobEvent(id="", kind=EventKind.QUEUED, attempt=0, position=3)
STEP = JobEvent(id="12-0", kind=EventKind.PROGRESS, attempt=1, step=4, steps=20)
FAILED = JobEvent(
    id="13-0", kind=EventKind.FAILED, attempt=3, failure=Failure("job_dead_lettered", "It was given up.")
)
LONG = 3600.0


class Source:
    """Events that come, and then something else: the end, an error, or a long silence."""

    def __init__(self, *events: JobEvent, error: Exception | None = None, silent: bool = False) -> None:
        self.closed = False
        self.events = self._events(events, error, silent)

    async def _events(
        self, events: tuple[JobEvent, ...], error: Exception | None, silent: bool
    ) -> AsyncGenerator[JobEvent]:
        try:
            for event in events:
                yield event
            if error is not None:
                raise error
            if silent:
                await asyncio.Event().wait()
        finally:
            self.closed = True


def lines(chunk: bytes) -> dict[str, str]:
    """The fields of one event."""
    text = chunk.decode()
    assert text.endswith("\n\n")
    return dict(line.split(": ", 1) for line in text.strip().split("\n"))


async def test_an_event_has_its_kind_its_id_and_json() -> None:
    source = Source(QUEUED, STEP, FAILED)
    queued, step, failed = [
        lines(chunk) async for chunk in event_chunks(job_event_bytes(source.events), asyncio.Event())
    ]
    assert queued["event"] == "queued"
    assert "id" not in queued  # what is not kept does not move the place where a watcher resumes
    assert json.loads(queued["data"])["position"] == 3
    assert (step["event"], step["id"]) == ("progress", "12-0")
    assert {"kind": "progress", "attempt": 1, "step": 4, "steps": 20}.items() <= json.loads(
        step["data"]
    ).items()
    assert failed["event"] == "failed"
    assert json.loads(failed["data"])["failure"]["code"] == "job_dead_lettered"
    assert source.closed


async def test_silence_is_filled_with_comments_and_no_event_is_lost_by_it() -> None:
    release = asyncio.Event()

    async def slow() -> AsyncGenerator[JobEvent]:
        await release.wait()
        yield STEP

    chunks = event_chunks(job_event_bytes(slow()), asyncio.Event(), keep_alive=0.01)
    assert [await anext(chunks) for _ in range(3)] == [b": ping\n\n"] * 3
    release.set()
    (event,) = [chunk async for chunk in chunks if chunk != b": ping\n\n"]
    assert event.startswith(b"event: progress\n")


async def test_a_server_that_stops_ends_the_stream_without_a_terminal_event() -> None:
    source, stopping = Source(STEP, silent=True), asyncio.Event()
    chunks = event_chunks(job_event_bytes(source.events), stopping, keep_alive=LONG)
    await anext(chunks)
    stopping.set()
    async with asyncio.timeout(20):
        assert [chunk async for chunk in chunks] == []
    assert source.closed


async def test_an_error_on_the_way_is_told_as_a_problem_and_ends_the_stream() -> None:
    source = Source(STEP, error=QueueLost("The queue lost its data."))
    *_, last = [lines(chunk) async for chunk in event_chunks(job_event_bytes(source.events), asyncio.Event())]
    assert last["event"] == "problem"
    assert json.loads(last["data"])["code"] == "queue_lost"
    assert source.closed


async def test_a_watcher_that_leaves_ends_the_watch() -> None:
    source = Source(STEP, silent=True)
    chunks = event_chunks(job_event_bytes(source.events), asyncio.Event(), keep_alive=LONG)
    await anext(chunks)
    await chunks.aclose()
    assert source.closed


async def test_a_watch_that_is_cancelled_leaves_nothing_behind() -> None:
    source, waiting = Source(STEP, silent=True), asyncio.Event()

    async def watch() -> None:
        async for _ in event_chunks(job_event_bytes(source.events), asyncio.Event(), keep_alive=LONG):
            waiting.set()

    task = asyncio.ensure_future(watch())
    await waiting.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert source.closed
    assert asyncio.all_tasks() == {asyncio.current_task()}
