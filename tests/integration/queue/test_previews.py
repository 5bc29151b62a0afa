"""Previews beside the progress stream: the newest alone, for early and late readers, at the cost of no event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import redis

from service.contracts import EventKind, Job, JobEvent, Preview, Progress
from service.queue.client import QueueClient
from service.queue.consumer import Claim, QueueConsumer
from service.queue.keys import Shard
from tests.integration.queue.conftest import ALICE, RESULT, claimed

NewJob = Callable[..., Job]


async def told(events: AsyncGenerator[JobEvent]) -> list[JobEvent]:
    """All events, to the end of the job."""
    async with asyncio.timeout(60), aclosing(events):
        return [event async for event in events]


def previews(events: list[JobEvent]) -> list[tuple[str, bytes]]:
    """The ids of the events that have one, and its bytes."""
    return [(event.id, event.preview.data) for event in events if event.preview is not None]


async def running(client: QueueClient, consumer: QueueConsumer, job: Job) -> Claim:
    await client.submit(job)
    (claim,) = claimed(consumer)
    return claim


async def test_a_reader_sees_each_preview_with_the_step_that_it_came_with(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    claim = await running(client, consumer, job)
    async with asyncio.timeout(60), aclosing(client.events(job.id, ALICE, after="2")) as events:
        for step, data in ((1, b"\xff\xd8 one"), (2, b"\xff\xd8\x00 two")):
            consumer.report([(claim, Progress(step, 3, Preview(data)))])
            event = await anext(events)
            assert (event.kind, event.step, event.preview) == (EventKind.PROGRESS, step, Preview(data))
        consumer.report([(claim, Progress(3, 3))])
        assert (await anext(events)).preview is None


async def test_a_late_reader_gets_the_newest_alone_in_its_place(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    claim = await running(client, consumer, job)
    for step, preview in ((1, Preview(b"one")), (2, Preview(b"two")), (3, None)):
        consumer.report([(claim, Progress(step, 4, preview))])
    consumer.finish(claim, RESULT)
    assert previews(await told(client.events(job.id, ALICE))) == [("4", b"two")]
    assert previews(await told(client.events(job.id, ALICE, after="3"))) == [("4", b"two")]
    assert previews(await told(client.events(job.id, ALICE, after="4"))) == []


async def test_previews_push_no_event_out(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    """Their bytes are not in the stream, and a step with one is one event, as a step without."""
    jobs = [new_job(), new_job()]
    for job in jobs:
        await client.submit(job)
    claims = {claim.job.id: claim for claim in claimed(consumer, 2)}
    picture = Preview(bytes(20_000))
    for step in range(1, 101):
        progress = Progress(step, 100)
        with_preview = Progress(step, 100, picture)
        consumer.report([(claims[jobs[0].id], progress), (claims[jobs[1].id], with_preview)])
    plain, shown = (server.xlen(Shard().key("events", job.id)) for job in jobs)
    assert plain == shown == 102
    sizes = [server.memory_usage(Shard().key("events", job.id)) for job in jobs]
    assert sizes[0] == sizes[1]
    assert (server.memory_usage(Shard().key("preview", jobs[1].id)) or 0) < 50_000


async def test_a_preview_of_an_event_that_was_trimmed_comes_with_the_snapshot(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    claim = await running(client, consumer, job)
    consumer.report([(claim, Progress(1, 1000, Preview(b"early")))])
    for step in range(2, 301):
        consumer.report([(claim, Progress(step, 1000))])
    consumer.finish(claim, RESULT)
    first, *rest = await told(client.events(job.id, ALICE))
    assert (first.kind, first.preview) == (EventKind.SNAPSHOT, Preview(b"early"))
    assert previews(rest) == []


async def test_a_preview_is_of_its_attempt_and_ends_soon_after_its_job(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    claim = await running(client, consumer, job)
    key = Shard().key("preview", job.id)
    consumer.report([(claim, Progress(1, 2, Preview(b"one")))])
    assert server.exists(key)
    consumer.release(claim)
    assert not server.exists(key)
    (again,) = claimed(consumer)
    assert consumer.report([(claim, Progress(2, 2, Preview(b"stale")))]) == {job.id}
    assert not server.exists(key)
    consumer.report([(again, Progress(1, 2, Preview(b"two")))])
    consumer.finish(again, RESULT)
    assert 0 < int(server.pttl(key)) <= 60_000


async def test_a_link_leads_to_the_job_and_its_client_until_results_are_no_longer_kept(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job("key:a name with spaces")
    claim = await running(client, consumer, job)
    consumer.finish(claim, RESULT)
    link, other = [await client.share(job.id, job.client) for _ in range(2)]
    assert link != other
    assert await client.shared(link) == (job.id, job.client)
    assert job.id.partition("-")[2] not in link
    lifetime = int(server.pttl(Shard().key("link", link)))
    assert 0 < lifetime <= 3_600_000
