"""When the device's memory is short: smaller batches first, then a fresh process; never again and again for one job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.contracts import Job, Status
from service.engine.base import DeviceOutOfMemory
from service.errors import InternalError
from service.metrics import REGISTRY
from service.queue.client import QueueClient
from service.worker.device import DeviceMemoryError
from tests.faults.polling import until
from tests.integration.edge.pictures import encode, photo
from tests.integration.worker.running_worker import CLIENT, RunningWorker

NewJob = Callable[..., Job]
StartWorker = Callable[..., RunningWorker]


def at_most(items: int) -> Callable[[Sequence[Any]], None]:
    def check(batch: Sequence[Any]) -> None:
        if len(batch) > items:
            raise DeviceOutOfMemory(f"no room for {len(batch)}")

    return check


def four_holes() -> dict[str, Any]:
    """A picture that needs four crops of the engine's 64 pixels, too many for one step with eight candidates."""
    size = (800, 120)
    flags = np.zeros((size[1], size[0]), np.uint8)
    for left in (20, 250, 480, 710):
        flags[40:60, left : left + 20] = 255
    return {
        "image": encode(photo(size=size)),
        "mask": encode(Image.fromarray(flags)),
        "context": 8,
        "places": 32,
    }


def ooms_told() -> float:
    return REGISTRY.get_sample_value("inpaint_oom_total") or 0.0


async def test_a_batch_that_does_not_fit_is_halved_and_every_picture_stays_the_same(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    def jobs() -> list[Job]:
        return [new_job(seed=seed, steps=50 + seed) for seed in range(8)]

    alone = []
    roomy = start_worker()
    for job in jobs():
        await client.submit(job)
        alone.append((await client.wait(job.id, CLIENT)).pictures)
    roomy.end(drain=True)
    told = ooms_told()
    together = jobs()
    for job in together:
        await client.submit(job)
    tight = start_worker()
    tight.engine.faults["step"] = at_most(4)
    assert [(await client.wait(job.id, CLIENT)).pictures for job in together] == alone
    assert ooms_told() == told + 1
    too_large = next(index for index, batch in enumerate(tight.engine.batches) if batch > 4)
    assert max(tight.engine.batches[too_large + 1 :]) <= 4
    assert tight.error is None


async def test_memory_that_is_short_again_ends_the_worker_and_counts_the_attempt(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    job = new_job(n=8, **four_holes())
    short = start_worker()
    short.engine.faults["step"] = at_most(1)
    await client.submit(job)
    await until(lambda: short.error is not None)
    assert isinstance(short.error, DeviceMemoryError)
    status = await client.status(job.id, CLIENT)
    assert (status.status, status.attempt) == (Status.QUEUED, 1)
    start_worker()
    assert len((await client.wait(job.id, CLIENT)).pictures) == 8


@pytest.mark.parametrize("call", ["encode", "step", "decode"])
async def test_an_item_that_does_not_fit_even_alone_fails_its_job_and_not_the_worker(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, call: str
) -> None:
    running = start_worker()
    running.engine.faults[call] = at_most(0)
    bad, good = new_job(), new_job()
    await client.submit(bad)
    with pytest.raises(InternalError, match="no memory left"):
        await client.wait(bad.id, CLIENT)
    del running.engine.faults[call]
    await client.submit(good)
    assert (await client.wait(good.id, CLIENT)).pictures
    assert running.error is None
