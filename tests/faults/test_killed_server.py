"""The queue's server killed or stopped, and started again on its folder: what it has acknowledged, it has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
import redis

from service.contracts import Job
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.settings import Settings
from tests.faults.conftest import MODEL, result_of
from tests.faults.endings import all_succeeded, nothing_is_left
from tests.faults.load import Finisher, Submitters
from tests.faults.polling import growth, until
from tests.faults.processes import WorkerProcess
from tests.faults.proxy import FaultProxy
from tests.queue_server import QueueServer

NewJob = Callable[..., Job]
NewConsumer = Callable[..., QueueConsumer]
KILLS = 20
RESTARTS = 4


@pytest.fixture
def server(durable_server: QueueServer) -> QueueServer:
    """Once on Valkey and once on Redis: how they keep what they have is their own."""
    return durable_server


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With room for all that the tests submit."""
    return settings.model_copy(update={"max_queued_jobs": 100_000, "max_client_share": 1.0})


async def test_a_server_killed_as_it_acknowledges_a_submit_has_the_job(
    server: QueueServer,
    connection: redis.Redis,
    settings: Settings,
    proxy: FaultProxy,
    new_job: NewJob,
    new_consumer: NewConsumer,
) -> None:
    client, job = QueueClient(proxy.url, settings), new_job()
    answer = proxy.arm("submit", "answer", "hold")
    submit = asyncio.create_task(client.submit(job))
    await until(lambda: answer.reached)
    server.kill()
    server.start()
    answer.release()
    assert await submit == job.id
    consumer = new_consumer()
    (claim,) = consumer.claim([MODEL], places=1, idle=True).claims
    assert consumer.finish(claim, result_of(1))
    await all_succeeded(client, [job.id])
    nothing_is_left(connection)
    await client.aclose()


async def test_a_server_killed_as_it_acknowledges_a_result_has_it(
    server: QueueServer,
    client: QueueClient,
    connection: redis.Redis,
    proxy: FaultProxy,
    new_job: NewJob,
    new_consumer: NewConsumer,
) -> None:
    job = new_job()
    await client.submit(job)
    consumer = new_consumer(proxy.url)
    (claim,) = consumer.claim([MODEL], places=1, idle=True).claims
    answer = proxy.arm("finish", "answer", "hold")
    with ThreadPoolExecutor(1) as threads:
        finish = threads.submit(consumer.finish, claim, result_of(1))
        await until(lambda: answer.reached)
        server.kill()
        server.start()
        answer.release()
        assert finish.result()
    assert (await all_succeeded(client, [job.id]))[job.id].result == result_of(1)
    nothing_is_left(connection)


async def test_a_result_made_while_the_server_is_away_is_delivered_when_it_is_back(
    server: QueueServer,
    client: QueueClient,
    connection: redis.Redis,
    settings: Settings,
    new_job: NewJob,
    start_worker: Callable[..., WorkerProcess],
) -> None:
    job = new_job()
    worker = start_worker(settings, gate_shut=True)
    await client.submit(job)
    await until(lambda: worker.at_gate)
    server.kill()
    worker.open_gate()
    await until(lambda: "the queue did not take" in worker.log)
    server.start()
    assert (await all_succeeded(client, [job.id]))[job.id].status.attempt == 1
    nothing_is_left(connection)


@pytest.mark.slow
async def test_a_server_killed_at_random_moments_loses_nothing_and_does_nothing_twice(
    server: QueueServer,
    client: QueueClient,
    connection: redis.Redis,
    new_job: NewJob,
    new_consumer: NewConsumer,
) -> None:
    chance = Random(3)
    submitters = Submitters(client, lambda: new_job(image=chance.randbytes(50_000)), edges=8)
    with Finisher(new_consumer()) as finisher:
        running = asyncio.create_task(submitters.run())
        for kill in range(KILLS):
            await growth(submitters.acknowledged, chance.randint(1, 20))
            server.kill()
            if kill % 4 == 0:  # else it is back before anybody gives up
                await growth(submitters.refused, 1)
            server.start()
        submitters.stopped = True
        await running
    in_doubt = await submitters.refused_but_queued()
    endings = await all_succeeded(client, [*submitters.acknowledged, *in_doubt])
    visible = {job_id: ending.result and ending.result.seeds[0] for job_id, ending in endings.items()}
    assert visible == finisher.seeds
    nothing_is_left(connection, never_queued=submitters.refused)


@pytest.mark.slow
async def test_a_server_restarted_under_load_loses_nothing(
    server: QueueServer,
    client: QueueClient,
    connection: redis.Redis,
    settings: Settings,
    new_job: NewJob,
    start_worker: Callable[..., WorkerProcess],
) -> None:
    chance = Random(4)
    submitters = Submitters(client, new_job, edges=6, waits=True)
    workers = [start_worker(settings) for _ in range(2)]
    running = asyncio.create_task(submitters.run())
    for restart in range(RESTARTS):
        await growth(submitters.ended, chance.randint(5, 20))
        if restart % 2:
            server.stop()
        else:
            server.kill()
        server.start()
    submitters.stopped = True
    await running
    in_doubt = await submitters.refused_but_queued()
    await all_succeeded(client, [*submitters.acknowledged, *in_doubt])
    assert not any(worker.ended for worker in workers)
    nothing_is_left(connection, never_queued=submitters.refused)
