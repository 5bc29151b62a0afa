"""One failing item never fails its neighbours; a device that fails everybody ends its worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.contracts import Job, Params, Status
from service.errors import InternalError, UnsupportedPicture
from service.imaging.retouch import Refinement, Retouch, finish
from service.queue.client import QueueClient
from service.worker.device import MOST_FAILED_JOBS, DeviceError
from tests.faults.polling import until
from tests.integration.edge.pictures import SIZE, encode
from tests.integration.worker.gated_engine import MAGENTA, is_magenta
from tests.integration.worker.running_worker import CLIENT, RunningWorker

NewJob = Callable[..., Job]
StartWorker = Callable[..., RunningWorker]

POISON = encode(Image.new("RGB", SIZE, MAGENTA))


async def eight_with_one_poisoned(client: QueueClient, new_job: NewJob) -> tuple[Job, list[Job]]:
    """Submitted: long enough that all of them run together."""
    jobs = [new_job(seed=seed, steps=100) for seed in range(7)]
    poisoned = new_job(image=POISON, steps=100)
    for job in (*jobs[:4], poisoned, *jobs[4:]):
        await client.submit(job)
    return poisoned, jobs


async def fails_alone(
    client: QueueClient, poisoned: Job, others: Sequence[Job], told: str = "by a fault of ours"
) -> None:
    with pytest.raises(InternalError, match=told):
        await client.wait(poisoned.id, CLIENT)
    for job in others:
        assert (await client.wait(job.id, CLIENT)).pictures
        assert (await client.status(job.id, CLIENT)).attempt == 1


@pytest.mark.parametrize("call", ["encode", "decode"])
async def test_what_the_vae_can_t_take_fails_only_its_own_job(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, call: str
) -> None:
    def meet(items: Sequence[Any]) -> None:
        if any(map(is_magenta, items)):
            raise RuntimeError("poison")

    poisoned, others = await eight_with_one_poisoned(client, new_job)
    start_worker().engine.faults[call] = meet
    await fails_alone(client, poisoned, others)


async def test_one_poisoned_item_of_a_full_batch_fails_only_its_own_job(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    batches: list[int] = []

    def meet(states: Sequence[Any]) -> None:
        if len(states) in {1, 8} and any(map(is_magenta, states)):
            batches.append(len(states))
            raise RuntimeError("poison")

    poisoned, others = await eight_with_one_poisoned(client, new_job)
    start_worker().engine.faults["step"] = meet
    await fails_alone(client, poisoned, others)
    assert batches[-1] == 1, "it was tried alone before its job was failed"


async def test_a_fault_that_does_not_come_again_fails_nobody(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    faults = [RuntimeError("once")]

    def meet(_states: Sequence[Any]) -> None:
        if faults:
            raise faults.pop()

    start_worker().engine.faults["step"] = meet
    job = new_job()
    await client.submit(job)
    assert (await client.wait(job.id, CLIENT)).pictures


async def test_a_picture_that_is_not_finite_fails_its_job(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    def spoil(states: Sequence[Any]) -> None:
        for state in filter(is_magenta, states):
            state.x[:] = np.nan

    poisoned, others = await eight_with_one_poisoned(client, new_job)
    start_worker().engine.faults["decode"] = spoil
    await fails_alone(client, poisoned, others, told="not finite")


@pytest.mark.parametrize(
    ("error", "told"),
    [(UnsupportedPicture("too odd"), UnsupportedPicture), (RuntimeError("x"), InternalError)],
)
async def test_a_picture_that_can_t_be_encoded_fails_its_job(
    client: QueueClient,
    new_job: NewJob,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    told: type[Exception],
) -> None:
    def fail(retouch: Retouch, fills: Any, params: Params, refinement: Refinement | None) -> Any:
        if params.seed == 1:
            raise error
        return finish(retouch, fills, params, refinement)

    monkeypatch.setattr("service.worker.pictures.finish", fail)
    start_worker()
    bad, good = new_job(seed=1, n=2), new_job(seed=2)
    await client.submit(bad)
    await client.submit(good)
    with pytest.raises(told):
        await client.wait(bad.id, CLIENT)
    assert (await client.wait(good.id, CLIENT)).pictures


async def test_a_device_that_fails_everybody_ends_its_worker_and_another_one_does_the_jobs(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    def fail(_items: Sequence[Any]) -> None:
        raise RuntimeError("the device is gone")

    jobs = [new_job() for _ in range(MOST_FAILED_JOBS + 2)]
    broken = start_worker(max_batch=8)
    broken.engine.faults["encode"] = fail
    for job in jobs:
        await client.submit(job)
    await until(lambda: broken.error is not None)
    assert isinstance(broken.error, DeviceError)
    statuses = [(await client.status(job.id, CLIENT)).status for job in jobs]
    assert statuses.count(Status.FAILED) < MOST_FAILED_JOBS
    assert set(statuses) <= {Status.FAILED, Status.QUEUED}
    start_worker()
    for job, status in zip(jobs, statuses, strict=True):
        if status is Status.QUEUED:
            assert (await client.wait(job.id, CLIENT)).pictures
