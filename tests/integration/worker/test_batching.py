"""Requests that share the steps of one device: they join, leave, and never show in each other's pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service import telemetry
from service.contracts import Job, Params, Priority, Result, Sampler, Status
from service.imaging.retouch import Refinement, Retouch, finish, prepare
from service.queue.client import QueueClient
from tests.faults.polling import until
from tests.integration.edge.pictures import JPEG, SIZE, encode, mask, photo
from tests.integration.worker.gated_engine import PATIENCE
from tests.integration.worker.running_worker import CLIENT, RunningWorker, step_until

NewJob = Callable[..., Job]
StartWorker = Callable[..., RunningWorker]


def two_holes() -> dict[str, Any]:
    """A picture whose hole needs more than one crop of the engine's 64 pixels."""
    size = (400, 120)
    flags = np.zeros((size[1], size[0]), np.uint8)
    flags[20:40, 10:30] = flags[80:100, 350:380] = 255
    return {"image": encode(photo(size=size)), "mask": encode(Image.fromarray(flags)), "context": 8}


def tinted(color: str) -> bytes:
    """A photo of a tone of its own."""
    return encode(Image.blend(photo(), Image.new("RGB", SIZE, color), 0.7))


def varied(new_job: NewJob) -> list[Job]:
    """Jobs that differ in all that could leak: steps, seeds, sizes, candidates, crops, guidance, start, priority,
    sampler, tone. That is not matched to the photo around: it would hide what came from another one.
    """

    def job(**fields: Any) -> Job:
        return new_job(color_match=False, **fields)

    second_order = Sampler.DPM_SOLVER_PLUS_PLUS
    large = (200, 150)
    return [
        job(seed=1, steps=3, image=tinted("navy")),
        job(seed=2, steps=9, guidance_scale=1, image=tinted("orange")),
        job(seed=3, steps=20, strength=0.5),
        job(seed=4, steps=5, n=3, places=3),
        job(seed=5, steps=7, priority=Priority.BATCH, **two_holes()),
        job(seed=6, steps=4, image=JPEG, guidance_scale=7.5),
        job(seed=7, steps=6, image=encode(photo(size=large)), mask=encode(mask(large))),
        job(seed=8, steps=12, n=2, strength=0.4, priority=Priority.BATCH, **two_holes()),
        job(seed=9, steps=8, sampler=second_order, image=tinted("teal")),
        job(seed=10, steps=10, n=3, places=3, sampler=second_order, priority=Priority.BATCH),
        job(seed=11, steps=16, strength=0.5, sampler=second_order, guidance_scale=1, **two_holes()),
    ]


@pytest.mark.parametrize("places", [3, 8])
async def test_a_picture_has_the_same_bytes_alone_and_amid_others(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, places: int
) -> None:
    alone = []
    single = start_worker(max_batch=places)
    for job in varied(new_job):
        await client.submit(job)
        alone.append((await client.wait(job.id, CLIENT)).pictures)
    single.end(drain=True)
    together = varied(new_job)
    for job in together:
        await client.submit(job)
    shared = start_worker(max_batch=places)
    amid = [(await client.wait(job.id, CLIENT)).pictures for job in together]
    assert len(set(shared.engine.batches)) > 1, "the batches must have changed for this test to say something"
    assert amid == alone


async def test_a_request_joins_between_two_steps_and_leaves_when_its_own_are_done(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker()
    running.engine.gate.clear()
    long, short = new_job(steps=100), new_job(steps=4)
    await client.submit(long)
    await until(running.engine.stepping.is_set)
    await client.submit(short)
    await step_until(running, lambda: 2 in running.engine.batches)
    await step_until(running, lambda: running.engine.batches[-1] == 1)
    assert (await client.wait(short.id, CLIENT)).pictures
    assert (await client.status(long.id, CLIENT)).status is Status.RUNNING
    assert running.engine.batches.count(2) == 4
    for seed in range(2):  # each newcomer, and not the first alone
        later = new_job(steps=4, seed=seed)
        await client.submit(later)
        await until(lambda: later.id in running.held)  # noqa: B023 - awaited here
        await step_until(running, lambda: running.engine.batches[-1] == 2)
        await step_until(running, lambda: running.engine.batches[-1] == 1)
    running.engine.gate.set()
    assert (await client.wait(long.id, CLIENT)).pictures
    assert running.engine.steps == 100, "a newcomer costs those who run no step"


async def test_the_places_of_the_running_batch_are_told(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    def places() -> tuple[float | None, float | None]:
        told = telemetry.REGISTRY.get_sample_value
        return told("inpaint_places", {"state": "taken"}), told("inpaint_places", {"state": "free"})

    running = start_worker(max_batch=8)
    await until(lambda: places() == (0, 8))
    running.engine.gate.clear()
    job = new_job(n=3, places=3, steps=4)
    await client.submit(job)
    await until(running.engine.stepping.is_set)
    assert places() == (3, 5)
    running.engine.gate.set()
    await client.wait(job.id, CLIENT)
    await until(lambda: places() == (0, 8))


async def test_a_small_newcomer_is_done_long_before_a_big_job(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker(max_batch=2)
    running.engine.gate.clear()
    big, small = new_job(steps=20, n=6), new_job(steps=3)
    await client.submit(big)
    await until(running.engine.stepping.is_set)
    await client.submit(small)
    await until(lambda: small.id in running.held)
    await step_until(running, lambda: small.id not in running.held)
    assert (await client.wait(small.id, CLIENT)).pictures
    assert (await client.status(big.id, CLIENT)).status is Status.RUNNING
    running.engine.gate.set()
    assert len((await client.wait(big.id, CLIENT)).pictures) == 6


async def test_the_candidates_of_a_crop_share_one_look_of_the_vae(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker(max_batch=2)
    job = new_job(n=4)
    await client.submit(job)
    assert len(set((await client.wait(job.id, CLIENT)).pictures)) == 4
    assert running.engine.encoded == [1]


async def test_whole_requests_do_not_join_a_running_batch(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    running = start_worker(batching="request")
    running.engine.gate.clear()
    first, second = new_job(steps=5), new_job(steps=5)
    await client.submit(first)
    await until(running.engine.stepping.is_set)
    await client.submit(second)
    running.engine.gate.set()
    await client.wait(second.id, CLIENT)
    assert running.engine.batches == [1] * 10


async def test_the_device_steps_while_a_picture_is_decoded(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding, decoded = threading.Event(), threading.Event()

    def slowly(image: bytes, mask: bytes, params: Params, **limits: int) -> Retouch:
        if image == JPEG:
            decoding.set()
            assert decoded.wait(PATIENCE)
        return prepare(image, mask, params, **limits)

    monkeypatch.setattr("service.worker.pictures.prepare", slowly)
    start_worker()
    slow, quick = new_job(image=JPEG), new_job()
    await client.submit(slow)
    await until(decoding.is_set)
    await client.submit(quick)
    assert (await client.wait(quick.id, CLIENT)).pictures
    decoded.set()
    assert (await client.wait(slow.id, CLIENT)).pictures


async def test_the_device_steps_while_a_picture_is_encoded(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoding, encoded = threading.Event(), threading.Event()

    def slowly(retouch: Retouch, fills: Any, params: Params, refinement: Refinement | None) -> Any:
        if params.seed == 1:
            encoding.set()
            assert encoded.wait(PATIENCE)
        return finish(retouch, fills, params, refinement)

    monkeypatch.setattr("service.worker.pictures.finish", slowly)
    start_worker()
    slow, quick = new_job(seed=1), new_job(seed=2)
    await client.submit(slow)
    await until(encoding.is_set)
    await client.submit(quick)
    assert (await client.wait(quick.id, CLIENT)).pictures
    encoded.set()
    assert (await client.wait(slow.id, CLIENT)).pictures


async def test_the_stages_of_a_result_tell_where_the_time_went(
    client: QueueClient, new_job: NewJob, start_worker: StartWorker
) -> None:
    start_worker(max_batch=2)
    job = new_job(n=3)
    await client.submit(job)
    result: Result = await client.wait(job.id, CLIENT)
    assert set(result.stages) == {"queue", "decode", "vae_encode", "denoise", "vae_decode", "encode"}
    assert all(seconds > 0 for seconds in result.stages.values())
