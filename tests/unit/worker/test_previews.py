"""The thread that paints previews: the newest of each job, and progress whatever becomes of them."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from service.contracts import Progress
from service.engine.base import Array
from service.worker.previews import PreviewPainter
from tests.faults.polling import PATIENCE
from tests.unit.worker.held_jobs import held_job

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
