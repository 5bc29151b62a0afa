"""The handlers that every transport shares, before a real queue and a worker: who waits, who leaves, what goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from service.contracts import TERMINAL, EventKind, JobEvent, Params, Progress, Status
from service.edge import handlers
from service.edge.handlers import InpaintAnswer, InpaintRequest
from service.errors import JobCancelled, UnknownModel
from service.queue.client import QueueClient
from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker, until
from tests.integration.edge.pictures import MASK, PHOTO

REQUEST = InpaintRequest(client="key:alice", image=PHOTO, mask=MASK, params=Params())
SETTINGS = Settings()


@pytest.fixture
def worker(queue_url: str) -> Iterator[FlatWorker]:
    with FlatWorker(queue_url, SETTINGS) as flat:
        yield flat


@pytest.fixture
async def queue(queue_url: str, worker: FlatWorker) -> AsyncIterator[QueueClient]:
    client = QueueClient(queue_url, SETTINGS)
    yield client
    await client.aclose()


def keyed() -> InpaintRequest:
    return replace(REQUEST, idempotency_key=str(uuid4()))


async def test_events_are_told_until_the_answer(queue: QueueClient, worker: FlatWorker) -> None:
    told: list[JobEvent | InpaintAnswer] = []
    with worker.held():
        async for item in handlers.inpaint_events(queue, SETTINGS, REQUEST):
            told.append(item)
            if isinstance(item, JobEvent) and item.kind is EventKind.RUNNING:
                worker.progress = Progress(step=2, steps=4)
            if isinstance(item, JobEvent) and item.step == 2:
                worker.hold.clear()
    *events, answer = told
    kinds = [event.kind for event in events if isinstance(event, JobEvent)]
    assert kinds[0] is EventKind.QUEUED
    assert {EventKind.RUNNING, EventKind.PROGRESS} <= set(kinds)
    assert not TERMINAL.intersection(kinds)
    assert isinstance(answer, InpaintAnswer)
    assert answer.job_id == worker.claims[0].job.id
    assert answer.result.pictures


async def test_events_end_with_the_error_of_the_job(queue: QueueClient, worker: FlatWorker) -> None:
    with worker.held():
        events = handlers.inpaint_events(queue, SETTINGS, REQUEST)
        await anext(events)
        await asyncio.to_thread(until, lambda: len(worker.claims) == 1)
        await queue.cancel(worker.claims[0].job.id, REQUEST.client)
        with pytest.raises(JobCancelled):
            [item async for item in events]


async def test_what_is_wrong_is_raised_before_any_event(queue: QueueClient) -> None:
    with pytest.raises(UnknownModel):
        await anext(handlers.inpaint_events(queue, SETTINGS, replace(REQUEST, params=Params(model="sdxl"))))


async def test_closing_the_events_cancels_the_job(queue: QueueClient, worker: FlatWorker) -> None:
    with worker.held():
        events = handlers.inpaint_events(queue, SETTINGS, REQUEST)
        await anext(events)
        await asyncio.to_thread(until, lambda: len(worker.claims) == 1)
        await events.aclose()
        await asyncio.to_thread(until, lambda: worker.claims[0].job.id in worker.dropped)
        job = await handlers.job_status(queue, worker.claims[0].job.id, REQUEST.client)
        assert job.status is Status.CANCELLED


@pytest.mark.parametrize("watched", [False, True], ids=["waiting", "watching"])
async def test_being_cancelled_cancels_the_job(queue: QueueClient, worker: FlatWorker, watched: bool) -> None:
    with worker.held():
        await abandoned(queue, worker, REQUEST, watched=watched)
        await asyncio.to_thread(until, lambda: worker.claims[0].job.id in worker.dropped)
        job = await handlers.job_status(queue, worker.claims[0].job.id, REQUEST.client)
        assert job.status is Status.CANCELLED


@pytest.mark.parametrize("watched", [False, True], ids=["waiting", "watching"])
async def test_a_keyed_job_goes_on_when_its_client_leaves(
    queue: QueueClient, worker: FlatWorker, watched: bool
) -> None:
    request = keyed()
    with worker.held():
        await abandoned(queue, worker, request, watched=watched)
        job_id = worker.claims[0].job.id
        assert (await handlers.job_status(queue, job_id, request.client)).status is Status.RUNNING
    answer = await handlers.inpaint(queue, SETTINGS, request)
    assert answer.job_id == job_id


async def abandoned(
    queue: QueueClient, worker: FlatWorker, request: InpaintRequest, *, watched: bool
) -> None:
    """A request whose client leaves while it runs."""

    async def watch() -> None:
        async for _ in handlers.inpaint_events(queue, SETTINGS, request):
            pass

    waiting = watch() if watched else handlers.inpaint(queue, SETTINGS, request)
    task: asyncio.Task[object] = asyncio.create_task(waiting)
    await asyncio.to_thread(until, lambda: len(worker.claims) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("asynchronous", "allowed", "expected"),
    [(False, None, 120), (True, None, 3600), (False, 7, 7), (True, 7, 7)],
)
async def test_a_deadline_is_the_clients_or_that_of_its_kind_of_call(
    queue: QueueClient, worker: FlatWorker, asynchronous: bool, allowed: float | None, expected: float
) -> None:
    request = replace(REQUEST, params=Params(timeout=allowed))
    before = await queue.now()
    await (handlers.submit if asynchronous else handlers.inpaint)(queue, SETTINGS, request)
    await asyncio.to_thread(until, lambda: len(worker.claims) == 1)
    assert before + expected <= worker.claims[0].job.deadline <= await queue.now() + expected
