"""A job that kills each worker that runs it, among neighbours that must not suffer for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import redis

from service.contracts import Job
from service.queue.client import QueueClient
from service.settings import Settings
from tests.faults.conftest import POISON
from tests.faults.endings import every_job_ended, nothing_is_left
from tests.faults.polling import until
from tests.faults.processes import WorkerProcess


async def _kept_running(worker: WorkerProcess) -> None:
    """Start it again at each death, as its supervisor does."""
    while True:
        await until(lambda: worker.ended)
        worker.start()


@pytest.mark.slow
async def test_a_job_that_kills_its_workers_is_given_up_and_its_seven_neighbours_succeed(
    client: QueueClient,
    connection: redis.Redis,
    short_lease: Settings,
    new_job: Callable[..., Job],
    start_worker: Callable[..., WorkerProcess],
) -> None:
    poisoned = new_job(image=POISON, steps=40)
    neighbours = [new_job(steps=40) for _ in range(7)]
    for job in (*neighbours[:4], poisoned, *neighbours[4:]):
        await client.submit(job)
    worker = start_worker(short_lease, max_batch=8, dummy_step_seconds=0.02)
    supervisor = asyncio.create_task(_kept_running(worker))
    endings = await every_job_ended(client, [poisoned.id, *(job.id for job in neighbours)])
    supervisor.cancel()
    assert endings.pop(poisoned.id).code == "job_dead_lettered"
    assert all(ending.result is not None for ending in endings.values())
    assert len(worker.deaths) == 3
    assert worker.deaths[0] == 8, "it was to die in a full batch"
    assert worker.deaths[2] == 1, "the last attempt is made alone"
    nothing_is_left(connection)
