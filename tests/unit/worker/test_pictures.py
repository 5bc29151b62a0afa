"""The threads for pictures: what they hand on, and that no fault in them is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from queue import Queue
from threading import Semaphore
from typing import Any

import numpy as np
import pytest

from service.contracts import Failure, Result
from service.settings import Settings
from service.worker.batch import Prepared
from service.worker.failures import OUR_FAULT
from service.worker.pictures import PicturePool
from tests.unit.worker.held_jobs import INFO, claim_of, held_job

PATIENCE = 60.0
FILLS = [np.zeros((3, 64, 64), np.float32)]


@pytest.fixture
def news() -> Queue[tuple[str, Any]]:
    return Queue()


@pytest.fixture
def caught_up() -> Semaphore:
    """Counts how often the pool said so."""
    return Semaphore(0)


@pytest.fixture
def pool(news: Queue[tuple[str, Any]], caught_up: Semaphore) -> Iterator[PicturePool]:
    def note(job_id: str, what: object) -> None:
        news.put((job_id, what))

    pool = PicturePool(
        Settings(picture_threads=2),
        INFO,
        on_prepared=note,
        on_refined=note,
        on_result=note,
        on_failure=note,
        on_caught_up=caught_up.release,
    )
    yield pool
    pool.close()


def test_a_decoded_picture_comes_with_its_tiles_and_its_table(
    pool: PicturePool, news: Queue[tuple[str, Any]]
) -> None:
    pool.prepare(claim_of(steps=5).job)
    job_id, prepared = news.get(timeout=PATIENCE)
    assert job_id == "s0-1"
    assert isinstance(prepared, Prepared)
    assert (len(prepared.tiles), len(prepared.table.rows)) == (1, 5)


def test_a_picture_that_is_none_is_told_by_its_code(pool: PicturePool, news: Queue[tuple[str, Any]]) -> None:
    pool.prepare(replace(claim_of().job, image=b"nothing"))
    _, failure = news.get(timeout=PATIENCE)
    assert isinstance(failure, Failure)
    assert failure.code == "not_an_image"


def test_a_result_comes_with_the_last_candidate_and_in_their_order(
    pool: PicturePool, news: Queue[tuple[str, Any]]
) -> None:
    job = held_job(n=2, color_match=False)
    pool.encode(job, 1, [FILLS[0] + 0.5])
    pool.encode(job, 0, FILLS)
    _, result = news.get(timeout=PATIENCE)
    assert isinstance(result, Result)
    assert result.seeds == (7, 8)
    again = held_job(n=1, color_match=False)
    pool.encode(again, 0, FILLS)
    _, alone = news.get(timeout=PATIENCE)
    assert result.pictures[0] == alone.pictures[0] != result.pictures[1]
    assert set(result.stages) == {"queue", "decode", "encode"}


def test_a_fault_of_ours_is_told_without_its_text(pool: PicturePool, news: Queue[tuple[str, Any]]) -> None:
    pool.encode(held_job(), 0, [np.zeros((1, 2), np.float32)])
    assert news.get(timeout=PATIENCE) == ("s0-1", OUR_FAULT)


def test_the_pool_is_behind_only_while_pictures_pile_up_and_says_when_it_has_caught_up(
    pool: PicturePool, news: Queue[tuple[str, Any]], caught_up: Semaphore
) -> None:
    jobs = [held_job(f"s0-{index}") for index in range(40)]
    for job in jobs:
        pool.encode(job, 0, FILLS)
    seen = pool.behind
    for _ in jobs:
        news.get(timeout=PATIENCE)
    assert seen
    assert not pool.behind
    assert caught_up.acquire(timeout=PATIENCE)
