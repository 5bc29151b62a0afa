"""Jobs that end before they are done: the batch goes on without them, and at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from service.contracts import Job, Params
from service.errors import JobCancelled, JobExpired
from service.imaging.retouch import Retouch, prepare
from service.queue.client import QueueClient
from tests.faults.polling import until
from tests.integration.worker.gated_engine import PATIENCE
from tests.integration.worker.running_worker import CLIENT, RunningWorker, step_until

NewJob = Callable[..., Job]
StartWorker = Callable[..., RunningWorker]


async def test_a_cancelled_job_is_not_in_the_next_step_and_its_neighbour_is(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    kept, cancelled = new_job(steps=60), new_job(steps=60)
    await client.submit(kept)
    await client.submit(cancelled)
    await step_until(running, lambda: 2 in running.engine.batches)
    await client.cancel(cancelled.id, CLIENT)
    await until(lambda: running.held == (kept.id,))
    steps = running.engine.steps
    running.engine.gate.set()
    assert (await client.wait(kept.id, CLIENT)).pictures
    assert set(running.engine.batches[steps:]) == {1}
    with pytest.raises(JobCancelled):
        await client.wait(cancelled.id, CLIENT)


async def test_a_job_past_its_deadline_leaves_the_batch_even_if_the_queue_can_t_say_so(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker(renew_every=PATIENCE)
    running.engine.gate.clear()
    kept, late = new_job(steps=100), new_job(steps=100, timeout=2.0)
    await client.submit(kept)
    await client.submit(late)
    await step_until(running, lambda: 2 in running.engine.batches)
    running.consumer.report_fault = ValueError("the worker is told nothing")
    with pytest.raises(JobExpired):
        await client.wait(late.id, CLIENT)
    steps = running.engine.steps
    await step_until(running, lambda: running.engine.batches[-1] == 1)
    assert running.engine.steps < steps + 40, "it left before its own steps were done"
    running.consumer.report_fault = None
    running.engine.gate.set()
    assert (await client.wait(kept.id, CLIENT)).pictures


async def test_a_job_cancelled_while_its_picture_is_decoded_never_joins(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding, decoded = threading.Event(), threading.Event()

    def slowly(image: bytes, mask: bytes, params: Params, **limits: int) -> Retouch:
        decoding.set()
        assert decoded.wait(PATIENCE)
        return prepare(image, mask, params, **limits)

    monkeypatch.setattr("service.worker.pictures.prepare", slowly)
    running = start_worker()
    job, other = new_job(), new_job()
    await client.submit(job)
    await until(decoding.is_set)
    await client.cancel(job.id, CLIENT)
    await until(lambda: not running.held)
    decoded.set()
    await client.submit(other)
    assert (await client.wait(other.id, CLIENT)).pictures
    assert running.engine.batches == [1, 1, 1], "the steps of the other job"
