"""The same word said twice: by redis-py where an answer or a request is lost, and by two callers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest
import redis

from service.contracts import Job, Status
from service.queue.client import QueueClient
from service.queue.consumer import Claim, QueueConsumer
from service.queue.keys import UPLOAD_LIFETIME, Shard
from service.settings import Settings
from tests.faults.conftest import MODEL, result_of
from tests.faults.endings import ALICE, all_succeeded, every_job_ended, nothing_is_left
from tests.faults.proxy import FaultProxy

NewJob = Callable[..., Job]
NewConsumer = Callable[..., QueueConsumer]
SHARD = Shard()

request_or_answer = pytest.mark.parametrize("lost", ["request", "answer"])


@pytest.fixture
async def cut_off(proxy: FaultProxy, settings: Settings) -> AsyncIterator[QueueClient]:
    """An edge's end behind the proxy."""
    client = QueueClient(proxy.url, settings)
    yield client
    await client.aclose()


def claim_one(consumer: QueueConsumer) -> Claim:
    (claim,) = consumer.claim([MODEL], places=1, idle=True).claims
    return claim


@request_or_answer
async def test_a_submit_is_queued_once(
    cut_off: QueueClient,
    connection: redis.Redis,
    proxy: FaultProxy,
    new_job: NewJob,
    new_consumer: NewConsumer,
    lost: Literal["request", "answer"],
) -> None:
    job = new_job()
    fault = proxy.arm("submit", lost, "cut")
    assert await cut_off.submit(job) == job.id
    assert fault.reached
    assert connection.hlen(SHARD.key("backlog")) == 1
    assert connection.hget(SHARD.key("ledger"), "bytes") == b"%d" % len(job.image + job.mask)
    for kind in ("image", "mask"):
        assert connection.ttl(SHARD.key(kind, job.id)) > UPLOAD_LIFETIME
    consumer = new_consumer()
    assert consumer.finish(claim_one(consumer), result_of(1))
    await all_succeeded(cut_off, [job.id])
    nothing_is_left(connection)


@request_or_answer
async def test_a_claim_brings_each_job_once(
    client: QueueClient,
    connection: redis.Redis,
    proxy: FaultProxy,
    new_job: NewJob,
    new_consumer: NewConsumer,
    lost: Literal["request", "answer"],
) -> None:
    jobs = [new_job(), new_job()]
    for job in jobs:
        await client.submit(job)
    consumer = new_consumer(proxy.url)
    fault = proxy.arm("claim", lost, "cut")
    claims = [claim_one(consumer), claim_one(consumer)]
    assert fault.reached
    assert {claim.job.id for claim in claims} == {job.id for job in jobs}
    assert [claim.attempt for claim in claims] == [1, 1]
    for claim in claims:
        assert consumer.finish(claim, result_of(1))
    await all_succeeded(client, [job.id for job in jobs])
    nothing_is_left(connection)


@request_or_answer
async def test_a_finish_is_taken_once(
    client: QueueClient,
    connection: redis.Redis,
    proxy: FaultProxy,
    new_job: NewJob,
    new_consumer: NewConsumer,
    lost: Literal["request", "answer"],
) -> None:
    job = new_job()
    await client.submit(job)
    consumer = new_consumer(proxy.url)
    claim = claim_one(consumer)
    fault = proxy.arm("finish", lost, "cut")
    assert consumer.finish(claim, result_of(1))
    assert fault.reached
    assert consumer.finish(claim, result_of(2)), "its worker may not hear of its own first finish"
    assert (await all_succeeded(client, [job.id]))[job.id].result == result_of(1)
    nothing_is_left(connection)


@request_or_answer
async def test_a_release_gives_back_one_attempt(
    client: QueueClient,
    connection: redis.Redis,
    proxy: FaultProxy,
    new_job: NewJob,
    new_consumer: NewConsumer,
    lost: Literal["request", "answer"],
) -> None:
    job = new_job()
    await client.submit(job)
    consumer = new_consumer(proxy.url)
    claim = claim_one(consumer)
    fault = proxy.arm("release", lost, "cut")
    assert consumer.release(claim)
    assert fault.reached
    status = await client.status(job.id, ALICE)
    assert (status.status, status.attempt) == (Status.QUEUED, 0)
    assert consumer.finish(claim_one(consumer), result_of(1))
    await all_succeeded(client, [job.id])
    nothing_is_left(connection)


@request_or_answer
async def test_a_cancel_ends_the_job_once(
    cut_off: QueueClient,
    connection: redis.Redis,
    proxy: FaultProxy,
    new_job: NewJob,
    new_consumer: NewConsumer,
    lost: Literal["request", "answer"],
) -> None:
    waiting, running = new_job(), new_job()
    consumer = new_consumer()
    await cut_off.submit(running)
    claim = claim_one(consumer)
    await cut_off.submit(waiting)
    for job in (waiting, running):
        fault = proxy.arm("cancel", lost, "cut")
        await cut_off.cancel(job.id, ALICE)
        assert fault.reached
        await cut_off.cancel(job.id, ALICE)
    assert not consumer.finish(claim, result_of(1))
    endings = await every_job_ended(cut_off, [waiting.id, running.id])
    assert {ending.code for ending in endings.values()} == {"job_cancelled"}
    nothing_is_left(connection)


async def test_everything_said_twice_at_once_counts_once(
    client: QueueClient, connection: redis.Redis, new_job: NewJob, new_consumer: NewConsumer
) -> None:
    for seed in range(20):
        finished, cancelled = new_job(), new_job()
        for job in (finished, cancelled):
            ids = await asyncio.gather(client.submit(job), client.submit(job))
            assert set(ids) == {job.id}
            if job is finished:
                consumer = new_consumer()
                claim = claim_one(consumer)
        assert connection.hlen(SHARD.key("backlog")) == 2
        with ThreadPoolExecutor(2) as threads:
            finishes = [threads.submit(consumer.finish, claim, result_of(2 * seed + copy)) for copy in (0, 1)]
            await asyncio.gather(*(client.cancel(cancelled.id, ALICE) for _ in range(2)))
        assert [finish.result() for finish in finishes] == [True, True]
        result = (await all_succeeded(client, [finished.id]))[finished.id].result
        assert result in (result_of(2 * seed), result_of(2 * seed + 1))
        endings = await every_job_ended(client, [cancelled.id])
        assert endings[cancelled.id].code == "job_cancelled"
        nothing_is_left(connection)


async def test_a_finish_and_a_cancel_at_once_have_one_winner(
    client: QueueClient, connection: redis.Redis, new_job: NewJob, new_consumer: NewConsumer
) -> None:
    consumer = new_consumer()
    for seed in range(20):
        job = new_job()
        await client.submit(job)
        claim = claim_one(consumer)
        with ThreadPoolExecutor(1) as threads:
            finish = threads.submit(consumer.finish, claim, result_of(seed))
            await client.cancel(job.id, ALICE)
        ending = (await every_job_ended(client, [job.id]))[job.id]
        assert ending.result == (result_of(seed) if finish.result() else None)
        nothing_is_left(connection)


async def test_two_submits_with_one_idempotency_key_are_one_job(
    client: QueueClient, connection: redis.Redis, new_job: NewJob, new_consumer: NewConsumer
) -> None:
    consumer = new_consumer()
    for number in range(20):
        twins = [new_job(idempotency_key=f"key-{number}", fingerprint="same") for _ in range(2)]
        first, second = await asyncio.gather(client.submit(twins[0]), client.submit(twins[1]))
        assert first == second
        assert connection.hlen(SHARD.key("backlog")) == 1
        assert consumer.finish(claim_one(consumer), result_of(number))
        await all_succeeded(client, [first])
        nothing_is_left(connection)


async def test_a_submit_repeated_after_the_end_leaves_nothing(
    client: QueueClient, connection: redis.Redis, new_job: NewJob, new_consumer: NewConsumer
) -> None:
    job = new_job()
    await client.submit(job)
    consumer = new_consumer()
    assert consumer.finish(claim_one(consumer), result_of(1))
    assert await client.submit(job) == job.id
    await all_succeeded(client, [job.id])
    nothing_is_left(connection)
