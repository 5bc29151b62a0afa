"""The soft hole: solid over what was masked and grown, fading to exactly nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from service.imaging.feather import automatic_growth, bounding_box, dilated, soft_hole
from service.imaging.picture import Flags


def hole_of(*box: int, width: int = 200, height: int = 160) -> Flags:
    flags = np.zeros((height, width), np.bool_)
    flags[box[1] : box[3], box[0] : box[2]] = True
    return flags


@pytest.mark.parametrize(
    ("dilate", "feather", "reach"), [(0, 0, 0), (5, 0, 5), (0, 4, 4), (3, 8, 11), (3, 5, 9)]
)
def test_the_hole_reaches_as_far_as_it_is_grown_and_faded(dilate: int, feather: int, reach: int) -> None:
    soft = soft_hole(hole_of(80, 60, 120, 90), dilate, feather)
    assert bounding_box(soft.flags((200, 160))).left == 80 - reach


def test_what_is_grown_is_solid_and_the_ring_beyond_falls_steadily() -> None:
    soft = soft_hole(hole_of(80, 60, 120, 90), 4, 8)
    row = soft.alpha[75 - soft.box.top].astype(int)
    left = row[: row.size // 2]
    assert (row[12 - 4 : -12 + 4] == 255).all()
    assert (np.diff(left) >= 0).all()
    assert set(left[:8]) & {0, 255} == set()


def test_without_growth_the_hole_is_the_mask() -> None:
    flags = hole_of(10, 20, 30, 50)
    np.testing.assert_array_equal(soft_hole(flags, 0, 0).flags((200, 160)), flags)


def test_growing_stops_at_the_border_of_the_picture() -> None:
    soft = soft_hole(hole_of(0, 0, 20, 20), 10, 10)
    assert (soft.box.left, soft.box.top) == (0, 0)
    assert (soft.alpha[:20, :20] == 255).all()


@pytest.mark.parametrize(
    ("width", "height", "hole_pixels", "growth"),
    [(256, 256, 4_000, 3), (2_048, 1_365, 40_000, 10), (6_000, 4_000, 4_000_000, 16), (6_000, 4_000, 900, 4)],
)
def test_automatic_growth_follows_the_picture_but_not_beyond_the_hole(
    width: int, height: int, hole_pixels: int, growth: int
) -> None:
    assert automatic_growth(width, height, hole_pixels) == growth


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_growing_is_a_square_dilation(seed: int, radius: int) -> None:
    flags = np.random.default_rng(seed).random((23, 31)) > 0.98
    expected = ndimage.maximum_filter(flags, size=2 * radius + 1, mode="constant")
    np.testing.assert_array_equal(dilated(flags, radius), expected)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 12))
def test_the_whole_mask_is_solid_whatever_the_shape(seed: int, dilate: int, feather: int) -> None:
    flags = np.random.default_rng(seed).random((40, 50)) > 0.97
    flags[20, 20] = True
    soft = soft_hole(flags, dilate, feather)
    box = soft.box
    assert (soft.alpha[flags[box.top : box.bottom, box.left : box.right]] == 255).all()
