"""Training samples: crops, cut-out objects, and the token class of the hole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.masks import MaskSampler
from training.photos import CropSampler, load_cutouts, load_photos
from training.samples import BACKGROUND, FOREGROUND, SampleSource, cell_mask, place_cutout

SIDE = 64
GREY, RED = 128, (255, 0, 0)


def source(*, object_holes: float, foreground: float) -> SampleSource:
    photo = np.full((96, 80, 3), GREY, np.uint8)
    cutout = np.zeros((30, 20, 4), np.uint8)
    cutout[5:25] = (*RED, 255)
    return SampleSource(
        CropSampler([photo], SIDE, 0.6), MaskSampler(SIDE), [cutout], object_holes, foreground
    )


def test_a_crop_has_the_side_that_was_asked_for_and_follows_its_seed() -> None:
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in [(64, 90, 3), (300, 200, 3)]]
    crops = CropSampler(photos, SIDE, least=0.25)
    drawn = [crops.draw(np.random.default_rng(seed)) for seed in range(20)]
    again = [crops.draw(np.random.default_rng(seed)) for seed in range(20)]
    assert {crop.shape for crop in drawn} == {(SIDE, SIDE, 3)}
    assert all(np.array_equal(one, other) for one, other in zip(drawn, again, strict=True))


def test_an_object_shaped_hole_on_background_leaves_the_picture_alone() -> None:
    sample = source(object_holes=1, foreground=0).draw(np.random.default_rng(1))
    assert sample.category == BACKGROUND
    assert (sample.picture == GREY).all()
    assert sample.hole.any()


def test_a_foreground_sample_shows_the_object_and_its_hole_covers_it() -> None:
    sample = source(object_holes=0, foreground=1).draw(np.random.default_rng(1))
    assert sample.category == FOREGROUND
    shown = (sample.picture != GREY).any(-1)
    assert shown.any()
    assert sample.hole[shown].all()
    assert sample.hole.sum() > shown.sum()  # grown


def test_a_random_hole_is_background() -> None:
    sample = source(object_holes=0, foreground=0).draw(np.random.default_rng(1))
    assert sample.category == BACKGROUND
    assert 0 < sample.hole.mean() <= 0.5


def test_a_placed_object_keeps_its_shape_and_stays_inside() -> None:
    cutout = np.full((40, 20, 4), 255, np.uint8)
    for seed in range(20):
        alpha = place_cutout(cutout, SIDE, np.random.default_rng(seed))[..., 3] > 64
        height, width = alpha.any(1).sum(), alpha.any(0).sum()
        assert 0.25 * SIDE - 1 <= height <= 0.7 * SIDE + 1
        assert abs(height - 2 * width) <= 2


def test_one_pixel_makes_its_cell_a_hole() -> None:
    hole = np.zeros((16, 16), np.bool_)
    hole[15, 0] = True
    assert cell_mask(hole, 8).tolist() == [[False, False], [True, False]]


def test_photographs_and_cutouts_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for level, name in [(200, "b.jpg"), (10, "a.jpg")]:
        Image.new("L", (8, 8), level).save(tmp_path / name, quality=95)
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(tmp_path / "object.png")
    assert [photo[0, 0].tolist() for photo in load_photos(tmp_path)] == [[10] * 3, [200] * 3]
    assert load_cutouts(tmp_path)[0][0, 0].tolist() == [1, 2, 3, 4]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"\*\.jpg"):
        load_photos(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"\*\.png"):
        load_cutouts(tmp_path)
