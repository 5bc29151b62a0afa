"""A worker's life against a real queue: what becomes of good jobs, bad jobs, and jobs taken away."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import redis
from PIL import Image

from service.contracts import Job, Status
from service.errors import InpaintError, InternalError, JobCancelled, NotAnImage, QueueFull, QueueUnavailable
from service.queue.client import QueueClient
from service.queue.keys import Shard
from tests.faults.polling import until
from tests.integration.edge.pictures import photo
from tests.integration.worker.running_worker import CLIENT, RunningWorker, until_reports, until_status

NewJob = Callable[..., Job]
StartWorker = Callable[..., RunningWorker]


def lease_end(queue_url: str, job: Job) -> float:
    """When the lease runs out, in ms of the queue's clock."""
    with redis.Redis.from_url(queue_url) as connection:
        score = connection.zscore(Shard().key("leases"), job.id)
    assert isinstance(score, float)
    return score


async def test_a_job_becomes_a_picture_with_its_hole_filled(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    start_worker()
    job = new_job()
    await client.submit(job)
    result = await client.wait(job.id, CLIENT)
    before, after = np.asarray(photo()), np.asarray(Image.open(io.BytesIO(result.pictures[0])))
    assert before.shape == after.shape
    assert not np.array_equal(before, after)
    assert (result.model, result.seeds, result.content_type) == ("moebius-nano", (7,), "image/png")
    assert set(result.stages) == {"queue", "decode", "vae_encode", "denoise", "vae_decode", "encode"}
    assert len(result.boxes) == 1


async def test_every_candidate_has_its_own_seed_and_picture(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    start_worker()
    job = new_job(n=3)
    await client.submit(job)
    result = await client.wait(job.id, CLIENT)
    assert result.seeds == (7, 8, 9)
    assert len(set(result.pictures)) == 3


async def test_the_worker_tells_what_it_serves(client: QueueClient, start_worker: StartWorker) -> None:
    running = start_worker()
    await until(lambda: running.worker.ready)
    (model,) = await client.models()
    assert (model.name, model.backend, model.image_size) == ("moebius-nano", "dummy", 64)


async def test_a_picture_that_is_none_fails_its_job_and_not_the_worker(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    start_worker()
    bad, good = new_job(image=b"not a picture at all"), new_job()
    await client.submit(bad)
    await client.submit(good)
    with pytest.raises(NotAnImage):
        await client.wait(bad.id, CLIENT)
    assert (await client.wait(good.id, CLIENT)).pictures


async def test_a_fault_of_ours_is_told_without_its_text_and_the_next_job_runs(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    def fail(_states: object) -> None:
        raise RuntimeError("secret of the device")

    running = start_worker()
    running.engine.faults["step"] = fail
    bad, good = new_job(), new_job()
    await client.submit(bad)
    with pytest.raises(InternalError) as caught:
        await client.wait(bad.id, CLIENT)
    assert "secret" not in caught.value.detail
    del running.engine.faults["step"]
    await client.submit(good)
    assert (await client.wait(good.id, CLIENT)).pictures


@pytest.mark.parametrize("fault", [QueueUnavailable("gone"), QueueFull("full"), InternalError("odd")])
async def test_a_result_that_the_queue_does_not_take_is_sent_again(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, fault: InpaintError
) -> None:
    running = start_worker()
    running.consumer.fault = fault
    job = new_job()
    await client.submit(job)
    await until(lambda: running.consumer.refusals > 0)
    running.consumer.fault = None
    assert (await client.wait(job.id, CLIENT)).pictures
    assert (await client.status(job.id, CLIENT)).attempt == 1


async def test_a_result_that_the_queue_never_takes_is_left_to_its_lease_and_the_next_job_runs(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.worker.feeder.QUEUE_RETRY", 0.01)
    running = start_worker(lease=1.0)
    running.consumer.fault = QueueFull("full")
    job, other = new_job(), new_job()
    await client.submit(job)
    await until(lambda: running.consumer.refusals > 0)
    await until(lambda: not running.held)
    running.consumer.fault = None
    await client.submit(other)
    assert (await client.wait(other.id, CLIENT)).pictures
    assert (await client.wait(job.id, CLIENT)).pictures
    assert (await client.status(job.id, CLIENT)).attempt > 1


async def test_a_cancelled_job_stops_between_two_steps(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    job, other = new_job(steps=100), new_job()
    await client.submit(job)
    await until(running.engine.stepping.is_set)
    await client.cancel(job.id, CLIENT)
    await until(lambda: not running.held)
    running.engine.gate.set()
    await client.submit(other)
    assert (await client.wait(other.id, CLIENT)).pictures
    assert running.engine.steps < 10
    with pytest.raises(JobCancelled):
        await client.wait(job.id, CLIENT)


async def test_a_job_past_its_deadline_is_dropped_while_it_runs(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    job = new_job(steps=100, timeout=1.0)
    await client.submit(job)
    await until(running.engine.stepping.is_set)
    await until_status(client, job, Status.EXPIRED)
    await until(lambda: not running.held)
    running.engine.gate.set()
    await until(lambda: not running.worker.loop.holds_work)
    assert running.engine.steps < 10


async def test_a_long_step_keeps_its_lease(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, queue_url: str
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    job = new_job()
    await client.submit(job)
    await until(running.engine.stepping.is_set)
    ends = lease_end(queue_url, job)
    renewals = running.consumer.renewals
    await until(lambda: running.consumer.renewals > renewals + 1)
    assert lease_end(queue_url, job) > ends
    running.engine.gate.set()
    assert (await client.wait(job.id, CLIENT)).pictures
    assert (await client.status(job.id, CLIENT)).attempt == 1


async def test_a_stop_lets_the_running_job_finish_and_takes_no_other(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    job, waiting = new_job(), new_job()
    await client.submit(job)
    await until(running.engine.stepping.is_set)
    running.worker.stop(drain=True)
    await client.submit(waiting)
    await until_reports(running, 3)
    assert not running.worker.ready
    running.end(drain=True)
    assert (await client.status(job.id, CLIENT)).status is Status.SUCCEEDED
    assert (await client.status(waiting.id, CLIENT)).status is Status.QUEUED
    assert await client.models() == ()


async def test_a_job_put_back_at_the_end_of_the_drain_time_costs_no_attempt(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    job = new_job()
    await client.submit(job)
    await until(running.engine.stepping.is_set)
    running.end(drain=False)
    status = await client.status(job.id, CLIENT)
    assert (status.status, status.attempt) == (Status.QUEUED, 0)
    start_worker()
    assert (await client.wait(job.id, CLIENT)).pictures
