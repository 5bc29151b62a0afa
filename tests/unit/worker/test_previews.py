"""The thread that paints previews: the newest of each job, and progress whatever becomes of them."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from service.contracts import Progress
from service.engine.base import Array, Tile
from service.imaging.retouch import refine
from service.worker.batch import HeldJob, Refined
from service.worker.fill import noise_places
from service.worker.previews import PreviewPainter
from tests.faults.polling import PATIENCE
from tests.unit.worker.held_jobs import claim_of, held_job, prepared

COLORS = np.zeros((3, 8, 8), np.float32)


class Told:
    """What a painter told, in order."""

    def __init__(self) -> None:
        self.progress: list[tuple[str, Progress]] = []
        self._more = threading.Semaphore(0)

    def __call__(self, job_id: str, progress: Progress) -> None:
        self.progress.append((job_id, progress))
        self._more.release()

    def wait_for(self, count: int) -> list[tuple[str, Progress]]:
        for _ in range(count):
            assert self._more.acquire(timeout=PATIENCE)
        return self.progress


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def painter(told: Told) -> Iterator[PreviewPainter]:
    painter = PreviewPainter(told)
    yield painter
    painter.close()


def test_a_preview_is_a_picture_and_comes_with_the_progress(painter: PreviewPainter, told: Told) -> None:
    painter.paint(held_job("s0-1"), {0: lambda: COLORS}, Progress(2, 3))
    ((job_id, progress),) = told.wait_for(1)
    assert (job_id, progress.step, progress.steps) == ("s0-1", 2, 3)
    assert progress.preview is not None
    assert progress.preview.content_type == "image/jpeg"
    assert Image.open(io.BytesIO(progress.preview.data)).size == (96, 80)


def test_while_one_is_painted_only_the_newest_of_a_job_waits_and_no_crop_is_lost(
    painter: PreviewPainter, told: Told
) -> None:
    entered, released = threading.Event(), threading.Event()
    fetched: list[str] = []

    def slow() -> Array:
        entered.set()
        assert released.wait(PATIENCE)
        return COLORS

    def fetch(name: str) -> Array:
        fetched.append(name)
        return COLORS

    job = held_job("s0-2")
    painter.paint(held_job("s0-1"), {0: slow}, Progress(1, 9))
    assert entered.wait(PATIENCE)
    painter.paint(job, {0: lambda: fetch("first of step 1")}, Progress(1, 9))
    painter.paint(job, {0: lambda: fetch("first of step 2")}, Progress(2, 9))
    released.set()
    assert [(job_id, progress.step) for job_id, progress in told.wait_for(2)] == [("s0-1", 1), ("s0-2", 2)]
    assert fetched == ["first of step 2"]


def refined_job() -> HeldJob:
    """Its hole is so large that it is looked at twice; the first fill is white, the fine tiles are cut."""
    photo, mask = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (800, 800), (20, 20, 20)).save(photo, "PNG")
    Image.new("L", (800, 800), 255).save(mask, "PNG")
    plain = claim_of("s0-1", color_match=False)
    claim = replace(plain, job=replace(plain.job, image=photo.getvalue(), mask=mask.getvalue()))
    job = HeldJob.of(claim, order=1, at=100.0, step=5)
    job.admit(prepared(claim), step=6)
    retouch = job.prepared_parts.retouch
    fills = np.ones((len(retouch.crops), 3, 64, 64), np.float32)
    refinement = refine(retouch, fills, claim.job.params)
    tiles = tuple(Tile(crop.image, crop.mask) for crop in refinement.crops)
    job.refined[0] = Refined(0, refinement, tiles, noise_places(refinement), seconds=0.1)
    return job


def test_the_first_preview_of_a_second_pass_shows_the_first_fill_where_no_tile_has_begun(
    painter: PreviewPainter, told: Told
) -> None:
    job = refined_job()
    last = job.crops - 1
    painter.paint(job, {last: lambda: -np.ones((3, 8, 8), np.float32)}, Progress(4, 6))
    ((_, progress),) = told.wait_for(1)
    assert progress.preview is not None
    pixels = np.asarray(Image.open(io.BytesIO(progress.preview.data)), np.int16)
    assert pixels[20, 20].min() > 230
    assert pixels[-20, -20].max() < 25


def test_a_preview_that_fails_is_logged_and_the_progress_told(
    painter: PreviewPainter, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Array:
        raise RuntimeError("the device went away")

    with caplog.at_level(logging.ERROR):
        painter.paint(held_job("s0-1"), {0: broken}, Progress(2, 3))
        ((_, progress),) = told.wait_for(1)
    assert progress == Progress(2, 3)
    assert "the device went away" in caplog.text
