"""Device calls that outlast the lease: slow ones keep their jobs, hung ones lose them, and their process ends."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import pytest
import redis

from service.contracts import Job, Status
from service.exit_codes import EXIT_HUNG
from service.queue.client import QueueClient
from service.queue.keys import Shard
from service.settings import Settings
from tests.faults.endings import ALICE, all_succeeded, nothing_is_left
from tests.faults.polling import until
from tests.faults.processes import WorkerProcess

NewJob = Callable[..., Job]
StartWorker = Callable[..., WorkerProcess]


@pytest.mark.slow
async def test_a_device_call_slower_than_the_lease_keeps_its_job(
    client: QueueClient,
    connection: redis.Redis,
    short_lease: Settings,
    new_job: NewJob,
    start_worker: StartWorker,
) -> None:
    job = new_job()
    slow = start_worker(short_lease, gate_shut=True, max_batch=1, dummy_step_seconds=0.6)
    await client.submit(job)
    await until(lambda: slow.at_gate)
    held_since = monotonic()
    start_worker(short_lease)  # would take it at once
    await until(lambda: connection.zcard(Shard().key("workers")) == 2)
    await until(lambda: monotonic() > held_since + 1.5 * short_lease.lease)
    status = await client.status(job.id, ALICE)
    assert (status.status, status.attempt) == (Status.RUNNING, 1)
    slow.open_gate()
    assert (await all_succeeded(client, [job.id]))[job.id].status.attempt == 1
    nothing_is_left(connection)


async def test_a_hung_device_loses_its_job_and_its_process_ends(
    client: QueueClient,
    connection: redis.Redis,
    short_lease: Settings,
    new_job: NewJob,
    start_worker: StartWorker,
) -> None:
    job = new_job()
    hung = start_worker(short_lease, gate_shut=True)
    await client.submit(job)
    await until(lambda: hung.at_gate)
    start_worker(short_lease)
    ending = (await all_succeeded(client, [job.id]))[job.id]
    assert ending.status.attempt == 2
    assert hung.status() == EXIT_HUNG
    nothing_is_left(connection)
