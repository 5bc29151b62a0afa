"""The measures of the model card."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.evaluate import (
    KINDS,
    frechet_distance,
    hole_of,
    opencv_fill,
    psnr_in_hole,
    ssim_in_hole,
)

HOLE = np.zeros((64, 64), np.bool_)
HOLE[20:40, 20:40] = True


def photo() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(60, 200, (64, 64, 3), dtype=np.uint8)


def test_psnr_counts_the_hole_only() -> None:
    true = photo()
    changed = true.copy()
    changed[HOLE] += 10
    assert psnr_in_hole(changed, true, HOLE) == pytest.approx(20 * np.log10(255 / 10))
    changed[~HOLE] = 0
    assert psnr_in_hole(changed, true, HOLE) == pytest.approx(20 * np.log10(255 / 10))


def test_ssim_is_one_for_the_photograph_itself() -> None:
    true = photo()
    changed = true.copy()
    changed[HOLE] = 128
    assert ssim_in_hole(true, true, HOLE) == pytest.approx(1)
    assert ssim_in_hole(changed, true, HOLE) < 0.5


def test_frechet_distance_is_zero_for_the_same_set_and_counts_a_shift() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((200, 5))
    assert frechet_distance(vectors, vectors) == pytest.approx(0, abs=1e-3)
    assert frechet_distance(vectors, vectors + 2) == pytest.approx(1000 * 5 * 4, rel=1e-3)


def test_opencv_fills_the_hole_and_nothing_else() -> None:
    true = photo()
    damaged = true.copy()
    damaged[HOLE] = 255
    filled = opencv_fill(cv2.INPAINT_TELEA)(damaged, HOLE)
    assert np.array_equal(filled[~HOLE], damaged[~HOLE])
    assert (filled[HOLE] != 255).mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_a_hole_of_each_kind_covers_something_and_at_most_half(kind: str) -> None:
    cutouts = [np.full((30, 20, 4), 255, np.uint8)]
    for seed in range(10):
        hole = hole_of(kind, 64, cutouts, np.random.default_rng(seed))
        assert 0 < hole.mean() <= 0.5
        assert np.array_equal(hole, hole_of(kind, 64, cutouts, np.random.default_rng(seed)))
