"""The thread that talks to the queue: it outlives outages, keeps none of it from the step loop, never dies unseen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import redis

from service.contracts import Job
from service.queue.client import QueueClient
from service.settings import Settings
from service.worker.turns import FeederError
from tests.faults.polling import until
from tests.faults.proxy import FaultProxy, load_scripts
from tests.integration.worker.running_worker import CLIENT, RunningWorker, until_reports
from tests.queue_server import QueueServer

NewJob = Callable[..., Job]
StartWorker = Callable[..., RunningWorker]

MANY_STEPS = 30


@pytest.fixture
def proxy(queue_url: str) -> Iterator[FaultProxy]:
    """Between a worker and the queue's server."""
    with redis.Redis.from_url(queue_url) as connection:
        load_scripts(connection)
    server = Path(queue_url.removeprefix("unix://"))
    with (
        tempfile.TemporaryDirectory(prefix="mb-proxy-") as folder,
        FaultProxy(Path(folder) / "socket", server) as proxy,
    ):
        yield proxy


@pytest.mark.parametrize("script", ["report", "renew"])
async def test_the_device_steps_on_while_an_answer_of_the_queue_is_held_back(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, proxy: FaultProxy, script: str
) -> None:
    running = start_worker(proxy.url)
    running.engine.gate.clear()
    job = new_job(steps=100)
    await client.submit(job)
    await until(running.engine.stepping.is_set)
    held = proxy.arm(script, "answer", "hold")
    await until(lambda: held.reached)
    steps, answers = running.engine.steps, running.consumer.answers
    running.engine.gate.allow(MANY_STEPS)
    await until(lambda: running.engine.steps == steps + MANY_STEPS)
    assert running.consumer.answers == answers, "the feeder must have been waiting all the time"
    held.release()
    running.engine.gate.set()
    assert (await client.wait(job.id, CLIENT)).pictures
    assert (await client.status(job.id, CLIENT)).attempt == 1


async def test_the_device_steps_on_while_a_result_is_on_its_way(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, proxy: FaultProxy
) -> None:
    running = start_worker(proxy.url)
    running.engine.gate.clear()
    short, long = new_job(steps=2), new_job(steps=100)
    await client.submit(long)
    await until(running.engine.stepping.is_set)
    await client.submit(short)
    held = proxy.arm("finish", "answer", "hold")
    while not held.reached:
        steps = running.engine.steps
        running.engine.gate.allow(1)
        await until(lambda: running.engine.steps > steps or held.reached)  # noqa: B023  # awaited here
    steps = running.engine.steps
    running.engine.gate.set()
    await until(lambda: running.engine.steps == 100)
    held.release()
    for job in (short, long):
        assert (await client.wait(job.id, CLIENT)).pictures
    assert steps < 100 - MANY_STEPS, (
        "the result must have been under way early for this test to say something"
    )


async def test_what_a_claim_brought_is_counted_before_the_next_one(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker(max_batch=2)
    running.engine.gate.clear()
    jobs = [new_job(steps=100) for _ in range(5)]
    await client.submit(jobs[0])
    await until(running.engine.stepping.is_set)
    for job in jobs[1:]:
        await client.submit(job)
    await until(lambda: len(running.held) == 2)
    await until_reports(
        running, 5
    )  # the loop stands in a step, and its wish for one more job still lies there
    assert len(running.held) == 2
    running.engine.gate.set()
    for job in jobs:
        assert (await client.wait(job.id, CLIENT)).pictures
    assert max(running.engine.batches) == 2


@pytest.mark.parametrize("durable_server", ["valkey"], indirect=True)
async def test_a_restart_of_the_server_costs_no_job_and_no_attempt(
    durable_server: QueueServer, settings: Settings, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker(durable_server.url)
    running.engine.gate.clear()
    job, later = new_job(), new_job()
    async with aclosing(QueueClient(durable_server.url, settings)) as client:
        await client.submit(job)
        await until(running.engine.stepping.is_set)
        durable_server.kill()
        running.engine.gate.set()
        await until(lambda: running.engine.steps == 3)
        durable_server.start()
        assert (await client.wait(job.id, CLIENT)).pictures
        assert (await client.status(job.id, CLIENT)).attempt == 1
        await client.submit(later)
        assert (await client.wait(later.id, CLIENT)).pictures


async def test_a_worker_that_can_t_reach_the_queue_is_not_ready(
    start_worker: StartWorker, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.worker.feeder.REACHED_WITHIN", 2.5)
    running = start_worker(proxy.url)
    await until(lambda: running.worker.ready)
    held = proxy.arm("claim", "answer", "hold")
    await until(lambda: held.reached)
    await until(lambda: not running.worker.ready)
    held.release()
    await until(lambda: running.worker.ready)


async def test_a_fault_of_ours_in_the_feeder_is_outlived(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    job = new_job()
    await client.submit(job)
    await until(running.engine.stepping.is_set)
    running.consumer.report_fault = ValueError("odd")
    await until_reports(running, 2)
    running.consumer.report_fault = None
    running.engine.gate.set()
    assert (await client.wait(job.id, CLIENT)).pictures


async def test_a_worker_whose_feeder_dies_ends_with_an_error(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    await client.submit(new_job(steps=100))
    await until(running.engine.stepping.is_set)
    running.consumer.report_fault = SystemExit("the thread ends")
    await until_reports(running, 1)
    running.engine.gate.set()
    await until(lambda: running.error is not None)
    assert isinstance(running.error, FeederError)
