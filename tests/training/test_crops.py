"""Square crops: within the picture, of the side asked for, the same for a picture and its mask."""

from __future__ import annotations

import numpy as np
import pytest

from training.crops import Crop, random_crop
from training.photos import CropSampler

SIDE = 64


def many(height: int, width: int, around: tuple[int, int] | None = None) -> list[Crop]:
    return [
        random_crop(height, width, np.random.default_rng(seed), side=SIDE, least=0.6, around=around)
        for seed in range(200)
    ]


def test_crops_lie_within_the_picture_and_reach_all_of_it() -> None:
    crops = many(200, 300)
    assert {crop.mirrored for crop in crops} == {True, False}
    assert min(crop.square for crop in crops) >= 120  # 0.6 of the shorter side
    assert max(crop.square for crop in crops) <= 200
    assert min(crop.left for crop in crops) >= 0
    assert 290 < max(crop.left + crop.square for crop in crops) <= 300


def test_a_small_picture_is_enlarged_and_a_large_one_not_below_the_side() -> None:
    assert {crop.square for crop in many(50, 90)} == {*range(50, 51)}
    assert min(crop.square for crop in many(70, 90)) >= SIDE


@pytest.mark.parametrize("pixel", [(0, 0), (199, 299), (100, 10)])
def test_a_crop_around_a_pixel_has_it_inside(pixel: tuple[int, int]) -> None:
    for crop in many(200, 300, pixel):
        assert crop.top <= pixel[0] < crop.top + crop.square <= 200
        assert crop.left <= pixel[1] < crop.left + crop.square <= 300


def test_a_mask_is_cut_as_its_picture_and_keeps_its_thinnest_parts() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[:, 150] = 255
    for crop in many(200, 300, (0, 150)):
        shown = crop.of_picture(picture, SIDE)[..., 0] > 0
        assert shown.any()
        assert np.array_equal(shown, crop.of_mask(picture[..., 0] > 0, SIDE))


def test_a_small_picture_is_enlarged_smoothly_and_its_mask_keeps_its_edge() -> None:
    ramp = np.repeat(np.arange(16, dtype=np.uint8)[None, :, None] * 16, 16, axis=0).repeat(3, axis=2)
    crop = Crop(0, 0, 16, mirrored=False)
    enlarged = crop.of_picture(ramp, SIDE)[..., 0].astype(int)
    assert np.diff(enlarged, axis=1).max() < 16 / 2  # a copy of the nearest pixel would step by 16
    assert crop.of_mask(ramp[..., 0] >= 128, SIDE).sum() == SIDE * SIDE / 2


def test_a_large_picture_is_shrunk_to_means_over_areas() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    means = picture.reshape(SIDE, 2, SIDE, 2, 3).mean((1, 3))
    shrunk = Crop(0, 0, 128, mirrored=False).of_picture(picture, SIDE)
    assert np.abs(shrunk - means).max() <= 1


def test_a_sampler_of_photographs_in_memory_follows_its_seed() -> None:
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in [(64, 90, 3), (300, 200, 3)]]
    crops = CropSampler(photos, SIDE, least=0.25)
    drawn = [crops.draw(np.random.default_rng(seed)) for seed in range(20)]
    again = [crops.draw(np.random.default_rng(seed)) for seed in range(20)]
    assert {crop.shape for crop in drawn} == {(SIDE, SIDE, 3)}
    assert all(np.array_equal(one, other) for one, other in zip(drawn, again, strict=True))
