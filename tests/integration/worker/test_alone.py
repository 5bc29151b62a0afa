"""A job at its last attempt runs with no neighbour: it may be the one that kills workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from service.contracts import Job
from service.queue.client import QueueClient
from service.queue.consumer import MOST_ATTEMPTS, QueueConsumer
from service.queue.keys import Shard
from service.settings import Settings
from service.worker.registration import registration_of
from tests.faults.polling import until
from tests.integration.worker.gated_engine import GatedEngine
from tests.integration.worker.running_worker import CLIENT, QUICK, RunningWorker

NewJob = Callable[..., Job]
StartWorker = Callable[..., RunningWorker]


@pytest.fixture
def by_hand(queue_url: str, settings: Settings) -> Iterator[QueueConsumer]:
    """The end of a worker that dies of every job."""
    consumer = QueueConsumer(queue_url, settings, registration_of(settings, GatedEngine(settings), QUICK))
    yield consumer
    consumer.close()


async def test_a_last_attempt_waits_for_the_batch_to_run_empty_and_then_has_the_worker_for_itself(
    client: QueueClient,
    new_job: NewJob,
    start_worker: StartWorker,
    by_hand: QueueConsumer,
    queue_url: str,
    settings: Settings,
) -> None:
    suspect, first, later = new_job(n=2, steps=30), new_job(steps=30), new_job(steps=30)
    await client.submit(suspect)
    for attempt in range(1, MOST_ATTEMPTS):
        (claim,) = by_hand.claim([settings.model], places=8, idle=True).claims
        if attempt < MOST_ATTEMPTS - 1:
            by_hand.release(claim, counted=True)
    running = start_worker()
    running.engine.gate.clear()
    await client.submit(first)
    await until(running.engine.stepping.is_set)
    by_hand.release(claim, counted=True)
    with redis.Redis.from_url(queue_url) as connection:
        await until(lambda: connection.hget(Shard().key("job", suspect.id), "drainer"))
    await client.submit(later)
    running.engine.gate.set()
    for job in (first, suspect, later):
        assert (await client.wait(job.id, CLIENT)).pictures
    assert running.engine.batches == [1] * 30 + [2] * 30 + [1] * 30
