"""Exact area means, of whatever size, in whatever strips."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.imaging.area import AreaMeans, area_downscaled


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 24), st.integers(0, 100), st.integers(0, 2**32 - 1))
def test_downscaling_keeps_the_mean(size: int, excess: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (size + excess, size + excess, 3), dtype=np.uint8)
    small = area_downscaled(pixels, size)
    assert small.shape == (size, size, 3)
    np.testing.assert_allclose(small.mean(axis=(0, 1)), pixels.mean(axis=(0, 1)), atol=0.01)


def test_downscaling_by_a_whole_factor_averages_blocks() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    blocks = pixels.reshape(16, 3, 16, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(area_downscaled(pixels, 16), blocks, atol=1e-3)


def test_downscaling_weighs_pixels_by_the_part_that_is_covered() -> None:
    pixels = np.zeros((3, 3, 1), np.uint8)
    pixels[1, 1] = 255
    np.testing.assert_allclose(area_downscaled(pixels, 2)[..., 0], 255 / 9, atol=1e-3)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 24), st.integers(0, 60), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_strips_give_the_means_of_the_whole(size: int, excess: int, height: int, seed: int) -> None:
    side = size + excess
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    means = AreaMeans(side, side, side, size)
    for top in range(0, side, height):
        means.add(top, pixels[top : top + height].astype(np.float32))
    np.testing.assert_allclose(means.means, area_downscaled(pixels, size), atol=1e-3)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_what_is_missing_is_the_last_row_and_column_again(
    width: int, height: int, size: int, seed: int
) -> None:
    side = max(width, height, size)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    means = AreaMeans(side, height, width, size)
    means.add(0, pixels.astype(np.float32))
    padded = np.pad(pixels, ((0, side - height), (0, side - width), (0, 0)), mode="edge")
    np.testing.assert_allclose(means.means, area_downscaled(padded, size), atol=1e-3)
