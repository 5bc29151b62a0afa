"""Previews of a real worker's jobs: at every k-th step, without a trace in the picture, and in no one else's way."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from contextlib import aclosing

import numpy as np
from PIL import Image

from service.contracts import Job, JobEvent, Preview, Result
from service.queue.client import QueueClient
from tests.integration.edge.pictures import SIZE
from tests.integration.worker.gated_engine import PATIENCE
from tests.integration.worker.running_worker import CLIENT, RunningWorker

NewJob = Callable[..., Job]
Start = Callable[..., RunningWorker]


async def watched(client: QueueClient, running: RunningWorker, job: Job) -> list[JobEvent]:
    """The events of a job whose every step waits until its progress has been read."""
    running.engine.gate.clear()
    await client.submit(job)
    seen: list[JobEvent] = []
    async with asyncio.timeout(PATIENCE), aclosing(client.events(job.id, CLIENT)) as events:
        async for event in events:
            seen.append(event)
            if event.kind.value in ("running", "progress"):
                running.engine.gate.allow(1)
    running.engine.gate.set()
    return seen


def shown(events: list[JobEvent]) -> dict[int, Preview]:
    """The previews by step."""
    return {event.step: event.preview for event in events if event.preview is not None}


async def result_of(client: QueueClient, job: Job) -> Result:
    await client.submit(job)
    return await client.wait(job.id, CLIENT)


async def test_every_second_step_has_one_where_that_was_asked_for(
    client: QueueClient, start_worker: Start, new_job: NewJob
) -> None:
    events = await watched(client, start_worker(), new_job(steps=6, preview=2))
    assert [event.step for event in events if event.kind.value == "progress"][:5] == [1, 2, 3, 4, 5]
    previews = shown(events)
    assert set(previews) >= {2, 4}  # the last may be overtaken by the end
    assert set(previews) <= {2, 4, 6}
    for preview in previews.values():
        assert (preview.candidate, preview.content_type) == (0, "image/jpeg")
        assert Image.open(io.BytesIO(preview.data)).size == SIZE


async def test_nobody_gets_one_who_did_not_ask(
    client: QueueClient, start_worker: Start, new_job: NewJob
) -> None:
    assert shown(await watched(client, start_worker(), new_job(steps=3))) == {}


async def test_the_hole_changes_from_preview_to_preview_and_the_rest_does_not(
    client: QueueClient, start_worker: Start, new_job: NewJob
) -> None:
    previews = shown(await watched(client, start_worker(), new_job(steps=4, preview=1)))
    first, last = (np.asarray(Image.open(io.BytesIO(previews[step].data)), np.int16) for step in (1, 3))
    hole = (slice(30, 36), slice(36, 44))
    assert np.abs(first[hole] - last[hole]).mean() > 1
    assert np.abs(first[:8] - last[:8]).max() <= 3


async def test_a_picture_does_not_depend_on_its_previews(
    client: QueueClient, start_worker: Start, new_job: NewJob
) -> None:
    start_worker()
    plain, shown_to_somebody = [
        await result_of(client, new_job(steps=5, n=2, preview=preview)) for preview in (0, 1)
    ]
    assert plain.pictures == shown_to_somebody.pictures


async def test_previews_are_of_the_first_candidate_alone(
    client: QueueClient, start_worker: Start, new_job: NewJob
) -> None:
    events = await watched(client, start_worker(), new_job(steps=3, n=3, preview=1))
    assert {preview.candidate for preview in shown(events).values()} == {0}


async def test_a_painting_that_hangs_holds_up_no_step_and_no_job(
    client: QueueClient, start_worker: Start, new_job: NewJob
) -> None:
    running = start_worker()
    running.engine.painting.clear()
    async with asyncio.timeout(PATIENCE):
        assert await result_of(client, new_job(steps=3, preview=1))
        assert await result_of(client, new_job(steps=3))
    running.engine.painting.set()
