"""The progress stream of a job: in order, resumable, fenced, bounded, and gone with the job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest
import redis

from service.contracts import EventKind, Failure, Job, JobEvent, Progress
from service.errors import JobNotFound, QueueLost
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.queue.keys import Shard
from tests.integration.queue.conftest import ALICE, RESULT, claimed

NewJob = Callable[..., Job]


async def told(events: AsyncGenerator[JobEvent]) -> list[JobEvent]:
    """All events, to the end of the job."""
    async with asyncio.timeout(60), aclosing(events):
        return [event async for event in events]


def kinds(events: list[JobEvent]) -> list[str]:
    return [event.kind.value for event in events]


async def test_a_job_tells_its_whole_life_in_order(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer)
    for step in (1, 2):
        assert consumer.report([(claim, Progress(step, 2))]) == set()
    consumer.finish(claim, RESULT)
    events = await told(client.events(job.id, ALICE))
    assert kinds(events) == ["queued", "running", "progress", "progress", "succeeded"]
    assert [event.id for event in events] == ["1", "2", "3", "4", "5"]
    assert [(event.step, event.steps) for event in events[2:4]] == [(1, 2), (2, 2)]
    assert [event.attempt for event in events] == [0, 1, 1, 1, 1]
    assert events[-1].terminal
    assert (events[-1].step, events[-1].steps) == (2, 2)


async def test_a_watcher_resumes_after_the_last_event_that_it_saw(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer)
    consumer.report([(claim, Progress(1, 2))])
    consumer.finish(claim, RESULT)
    assert kinds(await told(client.events(job.id, ALICE, after="2"))) == ["progress", "succeeded"]
    assert await told(client.events(job.id, ALICE, after="4")) == []


@pytest.mark.parametrize("odd", ["-1", "1-0", "x", "9" * 5000, "²"])
async def test_an_id_that_is_none_of_ours_starts_at_the_beginning(
    client: QueueClient, new_job: NewJob, odd: str
) -> None:
    job = new_job()
    await client.submit(job)
    await client.cancel(job.id, ALICE)
    assert kinds(await told(client.events(job.id, ALICE, after=odd))) == ["queued", "cancelled"]


async def test_an_id_beyond_the_last_event_starts_at_the_beginning(
    client: QueueClient, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    await client.cancel(job.id, ALICE)
    assert kinds(await told(client.events(job.id, ALICE, after="900"))) == ["queued", "cancelled"]


async def test_events_come_while_the_job_runs(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer)
    async with asyncio.timeout(60), aclosing(client.events(job.id, ALICE, after="2")) as events:
        consumer.report([(claim, Progress(1, 20))])
        assert (await anext(events)).step == 1
        consumer.report([(claim, Progress(2, 20))])
        assert (await anext(events)).step == 2


async def test_a_waiting_job_tells_its_place_whenever_it_moves(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    first, second = new_job(), new_job()
    await client.submit(first)
    await client.submit(second)
    async with asyncio.timeout(60), aclosing(client.events(second.id, ALICE)) as events:
        queued = await anext(events)
        assert (queued.kind, queued.position, queued.id) == (EventKind.QUEUED, 1, "1")
        claimed(consumer)
        moved = await anext(events)
        assert (moved.kind, moved.position, moved.id) == (EventKind.QUEUED, 0, "")
    assert (await client.status(second.id, ALICE)).position == 0


async def test_what_was_trimmed_is_one_snapshot(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer)
    for step in range(1, 301):
        consumer.report([(claim, Progress(step, 1000))])
    consumer.finish(claim, RESULT)
    events = await told(client.events(job.id, ALICE, after="2"))
    assert kinds(events[:2]) == ["snapshot", "progress"]
    assert (events[0].step, events[0].steps) == (300, 1000)
    assert int(events[0].id) + 1 == int(events[1].id)
    assert len(events) == 257
    assert events[-1].kind is EventKind.SUCCEEDED


async def test_a_worker_that_lost_a_job_tells_nothing_of_it(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    await client.submit(job)
    (stale,) = claimed(consumer)
    server.zadd(Shard().key("leases"), {job.id: 1})
    consumer.reclaim()
    (current,) = claimed(consumer)
    assert consumer.report([(stale, Progress(19, 20))]) == {job.id}
    consumer.fail(current, Failure("empty_mask", "The mask selects nothing."))
    events = await told(client.events(job.id, ALICE))
    assert kinds(events) == ["queued", "running", "queued", "running", "failed"]
    assert [event.attempt for event in events] == [0, 1, 1, 2, 2]
    assert events[-1].failure == Failure("empty_mask", "The mask selects nothing.")


async def test_the_end_of_a_cancelled_job_is_told_to_its_watcher(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    watcher = asyncio.create_task(told(client.events(job.id, ALICE)))
    await client.ping()
    await client.cancel(job.id, ALICE)
    assert kinds(await watcher)[-1] == "cancelled"


async def test_events_of_another_clients_job_are_unknown(client: QueueClient, new_job: NewJob) -> None:
    job = new_job()
    await client.submit(job)
    with pytest.raises(JobNotFound):
        await told(client.events(job.id, "mallory"))


async def test_a_watcher_learns_that_the_queue_lost_its_data(
    client: QueueClient, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    await client.submit(job)
    async with asyncio.timeout(60), aclosing(client.events(job.id, ALICE)) as events:
        await anext(events)
        server.flushall()
        with pytest.raises(QueueLost):
            await anext(events)


async def test_a_watcher_learns_of_the_loss_although_other_jobs_have_come_since(
    client: QueueClient, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    await client.submit(job)
    async with asyncio.timeout(60), aclosing(client.events(job.id, ALICE)) as events:
        await anext(events)
        server.flushall()
        await client.submit(new_job())
        with pytest.raises(QueueLost):
            await anext(events)


async def test_progress_is_part_of_the_status_and_starts_anew_with_an_attempt(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer)
    consumer.report([(claim, Progress(7, 20))])
    seen = await client.status(job.id, ALICE)
    assert (seen.step, seen.steps, seen.position) == (7, 20, None)
    consumer.release(claim)
    assert (await client.status(job.id, ALICE)).step == 0
