"""A hole much larger than the model takes two passes: the second one's items join the batch after the first's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from service.contracts import Job, Params, Status
from service.engine.dummy import DummyEngine
from service.queue.client import QueueClient
from service.settings import Settings
from service.worker.fill import fill_picture
from tests.faults.polling import until
from tests.integration.edge.pictures import decode, encode, mask, photo
from tests.integration.worker.gated_engine import IMAGE_SIZE
from tests.integration.worker.running_worker import CLIENT, RunningWorker, step_until, until_status

NewJob = Callable[..., Job]
StartWorker = Callable[..., RunningWorker]
SIZE = (1200, 900)
MAX_PIXELS = 50_000_000


def large_hole() -> dict[str, Any]:
    """A hole of 200 x 150 ... of 64 pixels' model: one crop, then tiles."""
    return {"image": encode(photo(size=SIZE)), "mask": encode(mask(SIZE)), "dilate": 40}


def alone(job: Job, settings: Settings) -> tuple[bytes, ...]:
    """The pictures of the job without a service."""
    engine = DummyEngine(settings, image_size=IMAGE_SIZE)
    return fill_picture(engine, job.image, job.mask, job.params, max_pixels=MAX_PIXELS).pictures


async def test_a_large_hole_is_filled_by_the_worker_as_without_a_service(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, settings: Settings
) -> None:
    running = start_worker()
    job = new_job(n=2, **large_hole())
    await client.submit(job)
    result = await client.wait(job.id, CLIENT)
    assert len(result.boxes) > 4
    assert result.pictures == alone(job, settings)
    assert len(set(result.pictures)) == 2
    assert sum(running.engine.batches) > 2 * 3, "there was no second pass"
    assert set(result.stages) == {"queue", "decode", "vae_encode", "denoise", "vae_decode", "encode"}


async def test_its_tiles_are_batched_together_with_each_other_and_with_neighbours(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, settings: Settings
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    large, small = new_job(**large_hole()), [new_job(seed=seed, steps=40) for seed in range(2)]
    for job in (large, *small):
        await client.submit(job)
    await until(lambda: len(running.held) == 3)
    running.engine.gate.set()
    pictures = [(await client.wait(job.id, CLIENT)).pictures for job in (large, *small)]
    assert pictures == [alone(job, settings) for job in (large, *small)]
    assert max(running.engine.batches) > 3


async def test_progress_runs_through_both_passes_and_never_back(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    job = new_job(steps=8, **large_hole())
    await client.submit(job)
    await until(lambda: running.engine.stepping.is_set())
    seen: list[tuple[int, int]] = []

    def note() -> bool:
        held = running.worker.loop._jobs.get(job.id)
        if held is not None and held.prepared is not None:
            seen.append((held.progress.step, held.progress.steps))
        return job.id not in running.held

    await step_until(running, note)
    assert seen == sorted(seen)
    assert {steps for _, steps in seen} == {8 + 2}
    assert seen[-1] == (10, 10)


async def test_a_job_that_is_cancelled_between_its_passes_leaves_nothing_behind(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    job = new_job(**large_hole())
    await client.submit(job)
    await until(lambda: running.engine.stepping.is_set())
    await step_until(running, lambda: any(held.refined for held in running.worker.loop._jobs.values()))
    await client.cancel(job.id, CLIENT)
    await until_status(client, job, Status.CANCELLED)
    running.engine.gate.set()
    await until(lambda: not running.held)
    following = new_job()
    await client.submit(following)
    assert (await client.wait(following.id, CLIENT)).pictures
    assert running.error is None


@pytest.mark.parametrize("fault", ["encode", "step", "decode"])
async def test_a_fault_in_the_second_pass_fails_the_job_and_not_the_worker(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, fault: str
) -> None:
    running = start_worker()
    job = new_job(**large_hole())
    seen: list[int] = []

    def broken(batch: Any) -> None:
        seen.append(len(batch))
        if any(held.refined for held in running.worker.loop._jobs.values()):
            raise RuntimeError("broken in the second pass")

    running.engine.faults[fault] = broken
    await client.submit(job)
    await until_status(client, job, Status.FAILED)
    del running.engine.faults[fault]
    following = new_job()
    await client.submit(following)
    picture = decode((await client.wait(following.id, CLIENT)).pictures[0])
    assert np.asarray(picture).shape[:2] == (80, 96)
    assert running.error is None


def test_a_few_steps_leave_the_second_pass_at_least_one() -> None:
    from service.engine.inpaint import refinement_table

    info = DummyEngine(Settings(backend="dummy")).info
    for steps in range(1, 12):
        table = refinement_table(info, Params(steps=steps, strength=1.0))
        assert len(table.rows) == max(1, steps // 4)
        assert table.image_scale > 0
