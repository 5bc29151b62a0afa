"""A short outage just when leases were to be renewed: a worker that still runs its jobs keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import redis

from service.contracts import Job
from service.errors import QueueUnavailable
from service.queue.client import QueueClient
from service.queue.consumer import Claim, QueueConsumer
from service.queue.keys import Shard
from tests.faults.polling import until
from tests.integration.worker.running_worker import CLIENT, SLOW, RunningWorker

LEASE = 2.0
LONG = 60.0


async def test_a_renewal_that_failed_comes_before_the_upkeep_that_takes_old_leases_back(
    client: QueueClient,
    new_job: Callable[..., Job],
    start_worker: Callable[..., RunningWorker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = 0
    renew = QueueConsumer.renew

    def failing_once(consumer: QueueConsumer, claims: Sequence[Claim]) -> list[Claim]:
        nonlocal tries
        tries += 1
        if tries == 2:
            raise QueueUnavailable("gone for a moment")
        return renew(consumer, claims)

    monkeypatch.setattr(QueueConsumer, "renew", failing_once)
    running = start_worker(profile=SLOW, lease=LEASE, renew_every=0.95 * LEASE)
    running.engine.gate.clear()
    job = new_job()
    await client.submit(job)
    await until(running.engine.stepping.is_set)
    await until(lambda: tries == 3)
    running.engine.gate.set()
    assert (await client.wait(job.id, CLIENT)).pictures
    assert (await client.status(job.id, CLIENT)).attempt == 1


async def test_a_job_that_came_back_outlives_the_refusal_of_its_earlier_result(
    client: QueueClient,
    new_job: Callable[..., Job],
    start_worker: Callable[..., RunningWorker],
    queue_url: str,
) -> None:
    running = start_worker(renew_every=LONG)
    running.consumer.fault = QueueUnavailable("gone for a moment")
    job = new_job(timeout=20.0)
    await client.submit(job)
    await until(lambda: running.consumer.refusals)
    running.engine.gate.clear()
    with redis.Redis.from_url(queue_url) as connection:
        connection.zadd(Shard().key("leases"), {job.id: 1})
    await until(lambda: len(running.held) == 2)
    running.consumer.fault = None
    await until(lambda: len(running.held) == 1)
    running.engine.gate.set()
    assert (await client.wait(job.id, CLIENT)).pictures
    assert (await client.status(job.id, CLIENT)).attempt == 2
