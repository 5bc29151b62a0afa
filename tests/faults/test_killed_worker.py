"""Workers that are killed, stopped past their lease, or end in good order, in the middle of a job."""

from __future__ import annotations

import signal
from collections.abc import Callable

import redis

from service.contracts import Job, Status
from service.queue.client import QueueClient
from service.queue.keys import Shard
from service.settings import Settings
from tests.faults.endings import ALICE, all_succeeded, nothing_is_left
from tests.faults.polling import until
from tests.faults.processes import WorkerProcess
from tests.faults.proxy import FaultProxy

NewJob = Callable[..., Job]
StartWorker = Callable[..., WorkerProcess]


async def test_a_job_of_a_worker_killed_between_steps_is_done_by_another(
    client: QueueClient,
    connection: redis.Redis,
    short_lease: Settings,
    new_job: NewJob,
    start_worker: StartWorker,
) -> None:
    job = new_job()
    first = start_worker(short_lease, gate_shut=True)
    await client.submit(job)
    await until(lambda: first.at_gate)
    first.kill()
    start_worker(short_lease)
    ending = (await all_succeeded(client, [job.id]))[job.id]
    assert ending.status.attempt == 2
    nothing_is_left(connection)


async def test_a_worker_killed_before_it_heard_that_its_result_was_taken_changes_nothing(
    client: QueueClient,
    connection: redis.Redis,
    short_lease: Settings,
    new_job: NewJob,
    start_worker: StartWorker,
    proxy: FaultProxy,
) -> None:
    job, following = new_job(), new_job()
    answer = proxy.arm("finish", "answer", "hold")
    first = start_worker(short_lease, redis_url=proxy.url)
    await client.submit(job)
    await until(lambda: answer.reached)
    before = await client.result(job.id, ALICE)
    first.kill()
    answer.release()
    start_worker(short_lease)
    await client.submit(following)  # once it has ended, the second worker has been through the queue
    endings = await all_succeeded(client, [following.id, job.id])
    assert endings[job.id].result == before
    assert endings[job.id].status.attempt == 1
    nothing_is_left(connection)


async def test_a_worker_killed_before_its_result_arrived_leaves_the_job_to_another(
    client: QueueClient,
    connection: redis.Redis,
    short_lease: Settings,
    new_job: NewJob,
    start_worker: StartWorker,
    proxy: FaultProxy,
) -> None:
    job = new_job()
    request = proxy.arm("finish", "request", "hold")
    first = start_worker(short_lease, redis_url=proxy.url)
    await client.submit(job)
    await until(lambda: request.reached)
    first.kill()
    start_worker(short_lease)
    ending = (await all_succeeded(client, [job.id]))[job.id]
    assert ending.status.attempt == 2
    request.release()  # the dead worker's result arrives now
    connection.ping()
    assert (await all_succeeded(client, [job.id]))[job.id] == ending
    nothing_is_left(connection)


async def test_a_worker_stopped_past_its_lease_drops_the_job_and_goes_on(
    client: QueueClient,
    connection: redis.Redis,
    short_lease: Settings,
    new_job: NewJob,
    start_worker: StartWorker,
) -> None:
    job, following = new_job(), new_job()
    first = start_worker(short_lease, gate_shut=True)
    await client.submit(job)
    await until(lambda: first.at_gate)
    first.signal(signal.SIGSTOP)
    second = start_worker(short_lease)
    ending = (await all_succeeded(client, [job.id]))[job.id]
    assert ending.status.attempt == 2
    second.kill()

    first.open_gate()
    first.signal(signal.SIGCONT)
    await until(lambda: "no longer ours" in first.log or "taken from us" in first.log)
    await client.submit(following)
    assert (await all_succeeded(client, [following.id]))[following.id].status.attempt == 1
    assert (await all_succeeded(client, [job.id]))[job.id] == ending
    nothing_is_left(connection)


async def test_a_result_that_comes_past_its_lease_is_discarded_and_counted(
    client: QueueClient,
    connection: redis.Redis,
    short_lease: Settings,
    new_job: NewJob,
    start_worker: StartWorker,
    proxy: FaultProxy,
) -> None:
    job, following = new_job(), new_job()
    request = proxy.arm("finish", "request", "hold")
    first = start_worker(short_lease, redis_url=proxy.url)
    await client.submit(job)
    await until(lambda: request.reached)
    first.signal(signal.SIGSTOP)
    second = start_worker(short_lease)
    ending = (await all_succeeded(client, [job.id]))[job.id]
    assert ending.status.attempt == 2
    second.kill()

    request.release()
    first.signal(signal.SIGCONT)
    await until(lambda: first.metric("inpaint_superseded_results_total") == 1)
    await client.submit(following)
    await all_succeeded(client, [following.id])
    assert (await all_succeeded(client, [job.id]))[job.id] == ending
    nothing_is_left(connection)


async def test_a_worker_told_to_end_finishes_what_runs_and_takes_nothing_more(
    client: QueueClient,
    connection: redis.Redis,
    settings: Settings,
    new_job: NewJob,
    start_worker: StartWorker,
) -> None:
    running, waiting = [new_job(), new_job()], new_job()
    worker = start_worker(settings, gate_shut=True, max_batch=4)  # two places stay free
    for job in running:
        await client.submit(job)
    await until(lambda: worker.at_gate and connection.zcard(Shard().key("leases")) == 2)
    worker.signal(signal.SIGTERM)
    await until(lambda: not worker.ready)
    await client.submit(waiting)
    worker.open_gate()
    endings = await all_succeeded(client, [job.id for job in running])
    assert [ending.status.attempt for ending in endings.values()] == [1, 1]
    assert worker.status() == 0
    assert (await client.status(waiting.id, ALICE)).status is Status.QUEUED
    start_worker(settings)
    await all_succeeded(client, [waiting.id])
    nothing_is_left(connection)


async def test_a_worker_out_of_drain_time_puts_its_jobs_back_uncounted(
    client: QueueClient,
    connection: redis.Redis,
    settings: Settings,
    new_job: NewJob,
    start_worker: StartWorker,
) -> None:
    jobs = [new_job() for _ in range(2)]
    worker = start_worker(settings, gate_shut=True, max_batch=2, drain_timeout=0.0)
    for job in jobs:
        await client.submit(job)
    await until(lambda: worker.at_gate and connection.zcard(Shard().key("leases")) == 2)
    worker.signal(signal.SIGTERM)
    await until(lambda: not worker.ready)
    worker.open_gate()
    assert worker.status() == 0
    for job in jobs:
        status = await client.status(job.id, ALICE)
        assert (status.status, status.attempt) == (Status.QUEUED, 0)
    start_worker(settings)
    endings = await all_succeeded(client, [job.id for job in jobs])
    assert [ending.status.attempt for ending in endings.values()] == [1, 1]
    nothing_is_left(connection)
