"""Device calls that outlast the lease: a slow device keeps its jobs, a hung one loses them and its process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from service.contracts import Job, Status
from service.queue.client import QueueClient
from tests.faults.polling import until
from tests.integration.worker.running_worker import CLIENT, SLOW, RunningWorker

NewJob = Callable[..., Job]
StartWorker = Callable[..., RunningWorker]


async def test_a_call_as_slow_as_profiled_keeps_its_job_beyond_the_lease(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker(profile=SLOW, lease=0.5, renew_every=0.1)
    running.engine.gate.clear()
    job = new_job()
    await client.submit(job)
    await until(running.engine.stepping.is_set)
    renewals = running.consumer.renewals
    await until(lambda: running.consumer.renewals > renewals + 10)
    assert running.worker.alive
    running.engine.gate.set()
    assert (await client.wait(job.id, CLIENT)).pictures
    assert (await client.status(job.id, CLIENT)).attempt == 1


async def test_a_hung_call_loses_its_job_to_another_worker_and_then_its_process(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    hung = start_worker(lease=0.5, renew_every=0.1)
    hung.engine.gate.clear()
    job = new_job()
    await client.submit(job)
    await until(hung.engine.stepping.is_set)
    await until(hung.hung.is_set)
    assert not hung.worker.alive
    renewals = hung.consumer.renewals
    start_worker()
    assert (await client.wait(job.id, CLIENT)).pictures
    assert (await client.status(job.id, CLIENT)).attempt == 2
    assert hung.consumer.renewals == renewals


async def test_a_worker_whose_loop_stands_still_is_not_ready_until_it_moves(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.worker.pulse.MOVES_WITHIN", 2.0)
    running = start_worker()
    await until(lambda: running.worker.ready)
    running.engine.gate.clear()
    job = new_job()
    await client.submit(job)
    await until(lambda: not running.worker.ready)
    assert (await client.status(job.id, CLIENT)).status is Status.RUNNING
    running.engine.gate.set()
    await until(lambda: running.worker.ready)
    assert (await client.wait(job.id, CLIENT)).pictures
