"""What the queue tells of itself: the cost of what waits, who works, and how full its server is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis

from service.contracts import Failure, Job, Priority
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.queue.fairness import cost_of
from service.queue.keys import Shard
from tests.integration.queue.conftest import ALICE, MODEL, RESULT, claimed

NewJob = Callable[..., Job]
NewConsumer = Callable[..., QueueConsumer]


@pytest.fixture
def limited_memory(server: redis.Redis) -> Iterator[int]:
    """The server's limit in bytes, gone after the test."""
    limit = 64 * 1024**2
    server.config_set("maxmemory", limit)
    yield limit
    server.config_set("maxmemory", 0)


async def ready_cost(client: QueueClient, priority: Priority = Priority.INTERACTIVE) -> float:
    return (await client.load()).models[MODEL].ready_cost[priority]


async def test_a_queue_that_never_had_a_job_or_a_worker_knows_no_model(client: QueueClient) -> None:
    load = await client.load()
    assert load.models == {}
    assert all(depth.waiting == depth.running == 0 for depth in load.depths.values())


async def test_what_waits_costs_what_admission_counts_by_priority(
    client: QueueClient, new_job: NewJob
) -> None:
    interactive, batch = new_job(), new_job(priority=Priority.BATCH)
    for job in (interactive, batch, new_job(priority=Priority.BATCH)):
        await client.submit(job)
    cost = cost_of(interactive.params, places=1)
    assert await ready_cost(client) == cost
    assert await ready_cost(client, Priority.BATCH) == 2 * cost


async def test_what_runs_waits_no_more_and_waits_again_when_it_is_given_back(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob
) -> None:
    job = new_job()
    await client.submit(job)
    (claim,) = claimed(consumer)
    assert await ready_cost(client) == 0
    consumer.release(claim)
    assert await ready_cost(client) == cost_of(job.params, places=1)


@pytest.mark.parametrize("end", ["finish", "fail", "cancel", "cancel_waiting"])
async def test_nothing_waits_for_a_model_whose_jobs_have_ended(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis, end: str
) -> None:
    job = new_job()
    await client.submit(job)
    claims = claimed(consumer) if end != "cancel_waiting" else []
    match end:
        case "finish":
            consumer.finish(claims[0], RESULT)
        case "fail":
            consumer.fail(claims[0], Failure("internal", "it broke"))
        case _:
            await client.cancel(job.id, ALICE)
    assert await ready_cost(client) == 0
    left = [*server.hscan_iter(Shard().key("ledger"), match="ready:*")]
    assert left == [], "a sum is gone with its last job"


async def test_workers_and_what_they_can_do_add_up_until_they_leave(
    client: QueueClient, new_consumer: NewConsumer
) -> None:
    first, second = new_consumer("first", throughput=10.5), new_consumer("second", throughput=20.0)
    first.register()
    second.register()
    model = (await client.load()).models[MODEL]
    assert (model.workers, model.capacity) == (2, 30.5)
    first.close()
    model = (await client.load()).models[MODEL]
    assert (model.workers, model.capacity) == (1, 20.0)


async def test_a_model_whose_last_worker_fell_silent_has_none_while_its_job_waits(
    client: QueueClient, new_consumer: NewConsumer, new_job: NewJob
) -> None:
    """Nobody registers any more, so nobody sweeps the registrations; a waiting job is what wakes a worker."""
    new_consumer("silent", throughput=1000.0, lease=0.05).register()
    await client.submit(new_job())

    async def workers() -> int:
        return (await client.load()).models[MODEL].workers

    counts = [await workers()]
    while counts[-1]:
        assert len(counts) < 10_000, "it was never forgotten"
        counts.append(await workers())
    assert (await client.load()).models[MODEL].capacity == 0
    assert await ready_cost(client) > 0


async def test_the_sum_is_right_again_after_jobs_that_another_version_queued(
    client: QueueClient, consumer: QueueConsumer, new_job: NewJob, server: redis.Redis
) -> None:
    """That version did not add them to the sum by priority. Of another model, jobs wait all the time."""
    elsewhere = new_job()
    await client.submit(replace(elsewhere, params=elsewhere.params.model_copy(update={"model": "zeta"})))
    await client.submit(new_job())
    server.hdel(Shard().key("ledger"), f"ready:interactive:{MODEL}")
    claimed(consumer)
    assert await ready_cost(client) == 0
    job = new_job()
    await client.submit(job)
    assert await ready_cost(client) == cost_of(job.params, places=1)


async def test_the_servers_memory_and_its_limit_are_told(client: QueueClient, limited_memory: int) -> None:
    load = await client.load()
    assert 0 < load.memory_used < load.memory_max == limited_memory


async def test_a_server_without_limit_says_0(client: QueueClient) -> None:
    assert (await client.load()).memory_max == 0
