"""A thousand leases that end at once: all jobs come back, once each, and the server serves others meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from service.contracts import Job
from service.queue.client import QueueClient
from service.queue.consumer import UPKEEP_BATCH, QueueConsumer
from service.queue.keys import Shard
from tests.faults.conftest import MODEL, result_of
from tests.faults.endings import ALICE, all_succeeded, nothing_is_left
from tests.faults.polling import until
from tests.faults.proxy import FaultProxy

JOBS = 1000
WORKERS = 4
LEASE = 1.0  # seconds
SHARD = Shard()


@pytest.mark.slow
async def test_a_thousand_leases_that_end_at_once_come_back_in_small_batches(
    client: QueueClient,
    connection: redis.Redis,
    proxy: FaultProxy,
    new_job: Callable[..., Job],
    new_consumer: Callable[..., QueueConsumer],
) -> None:
    jobs = [new_job() for _ in range(JOBS)]
    for start in range(0, JOBS, 50):
        await asyncio.gather(*map(client.submit, jobs[start : start + 50]))
    lost = new_consumer(lease=LEASE).claim([MODEL], places=JOBS, idle=True).claims
    assert len(lost) == JOBS
    await until(lambda: _overdue(connection) == JOBS)

    reclaim = proxy.arm("reclaim", "answer", "hold")
    with ThreadPoolExecutor(1) as threads:
        reclaiming = threads.submit(new_consumer(proxy.url).reclaim)
        await until(lambda: reclaim.reached)
        assert _overdue(connection) == JOBS - UPKEEP_BATCH, "one call moves a batch"
        assert (await client.status(jobs[0].id, ALICE)).id == jobs[0].id
        reclaim.release()
        assert reclaiming.result() == JOBS

    workers = [new_consumer() for _ in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as threads:
        done = [job_id for ids in threads.map(_finish_all, workers) for job_id in ids]
    assert sorted(done) == sorted(job.id for job in jobs), "each is given out once"
    endings = await all_succeeded(client, done)
    assert {ending.status.attempt for ending in endings.values()} == {2}
    nothing_is_left(connection)


def _overdue(connection: redis.Redis) -> int:
    seconds, microseconds = connection.time()
    return int(connection.zcount(SHARD.key("leases"), "-inf", seconds * 1000 + microseconds // 1000))


def _finish_all(consumer: QueueConsumer) -> list[str]:
    """Ids of the jobs that this worker got and finished, until none waits."""
    finished: list[str] = []
    while claims := consumer.claim([MODEL], places=8, idle=True).claims:
        for claim in claims:
            assert consumer.finish(claim, result_of(len(finished)))
            finished.append(claim.job.id)
    return finished
