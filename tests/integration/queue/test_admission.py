"""Who gets in and in which order: bounds, fairness between clients, priorities, a full server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from service.contracts import Job, Priority
from service.errors import QueueFull
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.queue.keys import Shard
from service.settings import Settings
from tests.integration.queue.conftest import ALICE, MODEL, RESULT, claimed

NewJob = Callable[..., Job]


@pytest.fixture
def settings() -> Settings:
    return Settings(model=MODEL, max_queued_jobs=8, max_queued_bytes=1000)


@pytest.fixture
def full_memory(server: redis.Redis) -> Iterator[Callable[[], None]]:
    """Lets the server refuse whatever needs memory, until the test ends."""

    def fill() -> None:
        server.config_set("maxmemory", 1)

    yield fill
    server.config_set("maxmemory", 0)


async def claimed_order(consumer: QueueConsumer) -> list[str]:
    return [claim.job.client for claim in claimed(consumer, 100)]


async def test_more_jobs_than_allowed_are_refused_until_one_ends(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    for _ in range(8):
        await client.submit(new_job())
    with pytest.raises(QueueFull) as refusal:
        await client.submit(new_job())
    assert refusal.value.retry_after is not None
    assert refusal.value.retry_after >= 1
    (claim,) = claimed(consumer, 1)
    consumer.finish(claim, RESULT)
    await client.submit(new_job())


async def test_more_bytes_than_allowed_are_refused(client: QueueClient, new_job: NewJob) -> None:
    job = new_job()
    object.__setattr__(job, "image", b"x" * 1000)
    with pytest.raises(QueueFull):
        await client.submit(job)
    await client.submit(new_job())


async def test_a_refused_job_leaves_nothing(
    client: QueueClient, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    object.__setattr__(job, "image", b"x" * 1000)
    with pytest.raises(QueueFull):
        await client.submit(job)
    assert list(server.scan_iter()) == []


async def test_one_clients_jobs_run_in_the_order_they_came(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    jobs = [new_job() for _ in range(6)]
    for job in jobs:
        await client.submit(job)
    assert [claim.job.id for claim in claimed(consumer, 6)] == [job.id for job in jobs]


async def test_clients_who_start_together_run_in_the_order_they_came(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    guests = [f"guest-{index}" for index in range(8)]
    for guest in guests:
        await client.submit(new_job(guest))
    assert await claimed_order(consumer) == guests


async def test_a_flood_of_one_client_does_not_delay_another(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    for _ in range(6):
        await client.submit(new_job("flood"))
    await client.submit(new_job("guest"))
    assert "guest" in (await claimed_order(consumer))[:2]


async def test_a_client_gains_nothing_by_waiting_idle(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    for _ in range(4):
        await client.submit(new_job("busy"))
    claimed(consumer, 3)
    for owner in ("newcomer", "newcomer", "newcomer"):
        await client.submit(new_job(owner))
    assert "busy" in (await claimed_order(consumer))[:3]


async def test_batch_work_is_slowed_but_not_starved(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    for _ in range(2):
        await client.submit(new_job("batch", priority=Priority.BATCH))
    for _ in range(6):
        await client.submit(new_job("hasty"))
    order = await claimed_order(consumer)
    assert order.index("hasty") < 2
    assert 3 <= len(order) - 1 - order[::-1].index("batch") < len(order) - 1


async def test_a_full_server_refuses_jobs_and_still_takes_results(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, full_memory: Callable[[], None]
) -> None:
    job = new_job()
    await client.submit(job)
    full_memory()
    with pytest.raises(QueueFull):
        await client.submit(new_job())
    (claim,) = claimed(consumer, 1)
    assert consumer.finish(claim, RESULT)
    assert await client.wait(job.id, ALICE) == RESULT


async def test_what_is_queued_is_counted_in_bytes(
    client: QueueClient, new_job: NewJob, server: redis.Redis
) -> None:
    job = new_job()
    await client.submit(job)
    assert server.hget(Shard().key("ledger"), "bytes") == b"%d" % (len(job.image) + len(job.mask))
