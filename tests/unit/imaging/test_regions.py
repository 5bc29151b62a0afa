"""Crops: square, inside the picture, sharp where they can be, few, and together covering the hole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contracts import MAX_CROPS, Box, Strategy
from service.imaging.crops import Crop, Region
from service.imaging.picture import Flags
from service.imaging.regions import plan_regions

MODEL = 256


def mask_of(width: int, height: int, *holes: tuple[int, int, int, int]) -> Flags:
    mask = np.zeros((height, width), np.bool_)
    for left, top, right, bottom in holes:
        mask[top:bottom, left:right] = True
    return mask


def crops_of(mask: Flags, model_size: int = MODEL, context: int | None = None) -> list[Crop]:
    regions = plan_regions(mask, model_size=model_size, context=context)
    return [crop for region in regions for crop in region.crops]


def assert_covering(mask: Flags, hole: Box, crops: tuple[Crop, ...], model_size: int) -> None:
    height, width = mask.shape
    covered = np.zeros(mask.shape, np.bool_)
    for crop in crops:
        box, core = crop.box, crop.core
        assert 0 <= box.left <= core.left < core.right <= box.right <= width
        assert 0 <= box.top <= core.top < core.bottom <= box.bottom <= height
        assert (box.width, box.height) == (min(crop.side, width), min(crop.side, height))
        assert crop.side >= model_size
        covered[core.top : core.bottom, core.left : core.right] = True
    window = slice(hole.top, hole.bottom), slice(hole.left, hole.right)
    assert covered[window][mask[window]].all()


def assert_sound(mask: Flags, regions: tuple[Region, ...], model_size: int) -> None:
    """What must hold for every plan."""
    pasted = np.zeros(mask.shape, int)
    for region in regions:
        hole = region.hole
        pasted[hole.top : hole.bottom, hole.left : hole.right] += 1
        for crops in filter(None, (region.crops, region.fine)):
            assert_covering(mask, hole, crops, model_size)
    assert (pasted[mask] == 1).all()
    assert sum(len(region.crops) + len(region.fine) for region in regions) <= MAX_CROPS


def test_a_small_hole_gets_one_crop_of_the_models_size_at_native_resolution() -> None:
    (crop,) = crops_of(mask_of(2_048, 2_048, (1_000, 700, 1_090, 760)))
    assert crop.side == MODEL
    assert crop.box == Box(917, 602, 1_173, 858)


def test_a_larger_hole_gets_context_of_128_pixels() -> None:
    (crop,) = crops_of(mask_of(2_048, 2_048, (1_000, 700, 1_200, 860)))
    assert crop.side == 200 + 2 * 128


def test_a_large_hole_gets_context_of_half_its_side() -> None:
    (crop,) = crops_of(mask_of(2_048, 2_048, (700, 700, 1_300, 1_200)))
    assert crop.side == 600 + 2 * 300


def test_context_can_be_asked_for() -> None:
    (crop,) = crops_of(mask_of(2_048, 2_048, (700, 700, 1_300, 1_200)), context=50)
    assert crop.side == 700


def test_a_crop_slides_inside_the_picture() -> None:
    (crop,) = crops_of(mask_of(1_000, 800, (980, 0, 1_000, 20)))
    assert crop.box == Box(744, 0, 1_000, 256)


def test_a_picture_smaller_than_the_model_is_taken_whole() -> None:
    (crop,) = crops_of(mask_of(100, 80, (20, 20, 40, 40)))
    assert (crop.box, crop.side) == (Box(0, 0, 100, 80), MODEL)


def test_a_strip_keeps_its_resolution_along_its_length() -> None:
    (crop,) = crops_of(mask_of(3_000, 100, (1_400, 20, 1_480, 60)))
    assert (crop.box.width, crop.box.height, crop.side) == (256, 100, MODEL)


def test_far_holes_get_crops_of_their_own_and_near_ones_share() -> None:
    mask = mask_of(2_048, 2_048, (100, 100, 140, 140), (150, 150, 190, 180), (1_500, 1_500, 1_540, 1_540))
    assert len(crops_of(mask)) == 2


def test_a_hole_too_wide_for_a_square_gets_overlapping_tiles() -> None:
    mask = mask_of(2_000, 500, (100, 150, 1_900, 400))
    (region,) = plan_regions(mask, model_size=MODEL)
    assert_sound(mask, (region,), MODEL)
    assert len(region.crops) > 1
    assert all(crop.side == 500 for crop in region.crops)
    for before, after in zip(region.crops, region.crops[1:], strict=False):
        assert before.core.right > after.core.left
        ends = (before.box.right - before.core.right, after.core.left - after.box.left)
        assert min(ends) >= 500 // 16, "at its end a crop sees what is around on one side only"


def test_a_wire_is_tiled_along_its_length_instead_of_shrunk() -> None:
    crops = crops_of(mask_of(2_048, 2_048, (100, 1_000, 1_900, 1_030)))
    assert len(crops) > 1
    assert max(crop.side for crop in crops) < 600


def test_a_bent_thin_hole_is_tiled_near_native_resolution_and_no_tile_is_empty() -> None:
    mask = np.zeros((900, 900), np.bool_)
    for step in range(600):
        mask[100 + step : 120 + step, 100 + step : 120 + step] = True  # a diagonal, 20 pixels thick
    crops = crops_of(mask)
    assert {crop.side for crop in crops} == {320}  # native, 256, would take ten tiles
    assert 3 <= len(crops) <= 8
    for crop in crops:
        assert mask[crop.core.top : crop.core.bottom, crop.core.left : crop.core.right].any()


def test_a_long_thin_hole_never_takes_more_than_eight_crops() -> None:
    mask = mask_of(6_000, 6_000, (100, 3_000, 5_900, 3_020), (3_000, 100, 3_020, 5_900))
    crops = crops_of(mask)
    assert len(crops) <= 8
    assert_sound(mask, plan_regions(mask, model_size=MODEL), MODEL)


def test_a_full_mask_is_covered() -> None:
    mask = np.ones((600, 900), np.bool_)
    assert_sound(mask, plan_regions(mask, model_size=MODEL), MODEL)


def test_many_holes_merge_until_the_crops_are_few_enough() -> None:
    mask = np.zeros((4_000, 4_000), np.bool_)
    mask[::300, ::300] = True
    assert_sound(mask, plan_regions(mask, model_size=64), 64)


def test_of_many_holes_only_the_near_ones_merge() -> None:
    corners = [(left, top) for left in range(0, 3600, 600) for top in range(0, 3600, 600)]
    mask = mask_of(
        4_000, 4_000, *((x + by, y, x + by + 8, y + 8) for x, y in corners for by in (100, 116, 132))
    )
    assert len(plan_regions(mask, model_size=64)) == len(corners)


def test_an_endless_strip_does_not_make_endless_crops() -> None:
    mask = np.ones((8, 200_000), np.bool_)
    assert_sound(mask, plan_regions(mask, model_size=64), 64)


def test_resize_shows_the_whole_picture_in_one_square() -> None:
    mask = mask_of(700, 400, (10, 10, 50, 50), (600, 300, 620, 320))
    (region,) = plan_regions(mask, model_size=MODEL, strategy=Strategy.RESIZE)
    assert region.crops == (Crop(Box(0, 0, 700, 400), Box(10, 10, 620, 320), 700),)


def test_a_small_picture_is_never_stretched_to_the_models_size() -> None:
    (region,) = plan_regions(mask_of(100, 80, (10, 10, 50, 50)), model_size=MODEL, strategy=Strategy.RESIZE)
    assert [(crop.box, crop.side) for crop in region.crops] == [(Box(0, 0, 100, 80), MODEL)]


def test_a_hole_three_times_as_long_as_thick_is_seen_as_a_whole() -> None:
    assert len(crops_of(mask_of(2_048, 2_048, (600, 900, 1_200, 1_100)))) == 1


@pytest.mark.parametrize("model_size", [32, 64, 256])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_plan_is_sound(model_size: int, data: st.DataObject) -> None:
    width, height = data.draw(st.integers(8, 900)), data.draw(st.integers(8, 900))
    mask = np.zeros((height, width), np.bool_)
    for _ in range(data.draw(st.integers(1, 12))):
        left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        mask[top : top + data.draw(st.integers(1, height)), left : left + data.draw(st.integers(1, 120))] = (
            True
        )
    context = data.draw(st.none() | st.integers(0, 300))
    assert_sound(mask, plan_regions(mask, model_size=model_size, context=context), model_size)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.9, 0.9999))
def test_plans_of_scattered_specks_are_sound(seed: int, threshold: float) -> None:
    mask = np.random.default_rng(seed).random((700, 500)) > threshold
    mask[0, 0] = True
    assert_sound(mask, plan_regions(mask, model_size=32), 32)
