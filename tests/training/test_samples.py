"""Training samples: what each kind of entry becomes, how often, and that no hole covers more than half."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.picture_files import HEIGHT, WIDTH, encoded, grey, square_mask, write_files
from training.categories import BACKGROUND, FOREGROUND
from training.listed_picture import PictureList
from training.masks import BoxRanges, DilationRanges, MaskSampler, StrokeRanges
from training.photos import load_cutouts, load_photos
from training.picture_list import open_picture_list
from training.readable_pictures import ReadablePictures
from training.samples import SampleShares, SampleSource, cell_mask, place_cutout

SIDE = 64
GREY, RED = 128, (255, 0, 0)
OBJECT = (30, 46, 40, 64)  # rows and columns of `square_mask`
NOT_GROWN = DilationRanges(probability=0)
# Strokes of a pixel's width: what they leave of an object is never all of it.
THIN = MaskSampler(
    SIDE, strokes=StrokeRanges(width=(1, 1)), boxes=BoxRanges(probability=0), dilation=NOT_GROWN
)


def red_cutout() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    cutout = np.zeros((30, 20, 4), np.uint8)
    cutout[5:25] = (*RED, 255)
    return cutout


def object_picture() -> bytes:
    """A red object where `square_mask` has its hole, on grey."""
    pixels = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    pixels[OBJECT[0] : OBJECT[1], OBJECT[2] : OBJECT[3]] = RED
    return encoded(Image.fromarray(pixels))


def listed(folder: Path, *entries: tuple[bytes, bytes | None, str]) -> PictureList:
    """A list of pictures, their masks, and their prompts."""
    rows = []
    for number, (picture, mask, prompt) in enumerate(entries):
        row = {"image": f"{number}.png", "prompt": prompt}
        write_files(folder, {row["image"]: picture})
        if mask is not None:
            row["mask"] = f"mask-{number}.png"
            write_files(folder, {row["mask"]: mask})
        rows.append(json.dumps(row))
    path = folder / "list.jsonl"
    path.write_text("\n".join(rows))
    return open_picture_list(path)


def source(
    pictures: PictureList,
    shares: SampleShares,
    *,
    cutouts: bool = True,
    holes: MaskSampler | None = None,
) -> SampleSource:
    readable = ReadablePictures(pictures, cache=True)
    return SampleSource(
        readable, SIDE, holes or MaskSampler(SIDE), [red_cutout()] if cutouts else [], shares=shares
    )


@pytest.fixture
def scene(tmp_path: Path) -> PictureList:
    """One grey picture."""
    return listed(tmp_path, (grey(GREY), None, "background"))


@pytest.fixture
def object_list(tmp_path: Path) -> PictureList:
    """One picture of an object with its mask."""
    return listed(tmp_path, (object_picture(), square_mask(), "foreground"))


def test_an_object_shaped_hole_on_background_leaves_the_picture_alone(scene: PictureList) -> None:
    sample = source(scene, SampleShares(object_hole=1, cutout=0)).draw(np.random.default_rng(1))
    assert sample.category == BACKGROUND
    assert (sample.picture == GREY).all()
    assert sample.hole.any()


def test_a_cutout_laid_on_a_picture_is_foreground_and_its_hole_covers_it(scene: PictureList) -> None:
    sample = source(scene, SampleShares(object_hole=0, cutout=1)).draw(np.random.default_rng(1))
    assert sample.category == FOREGROUND
    shown = (sample.picture != GREY).any(-1)
    assert shown.any()
    assert sample.hole[shown].all()
    assert sample.hole.sum() > shown.sum()  # grown


def test_a_random_hole_is_background(scene: PictureList) -> None:
    sample = source(scene, SampleShares(object_hole=0, cutout=0)).draw(np.random.default_rng(1))
    assert sample.category == BACKGROUND
    assert (sample.picture == GREY).all()
    assert 0 < sample.hole.mean() <= 0.5


def test_without_objects_and_cutouts_random_holes_take_their_share(scene: PictureList) -> None:
    plain = source(scene, SampleShares(object_hole=0.5, cutout=0.5), cutouts=False)
    samples = [plain.draw(np.random.default_rng(seed)) for seed in range(20)]
    assert {sample.category for sample in samples} == {BACKGROUND}


def test_shares_are_drawn_as_often_as_they_say(scene: PictureList) -> None:
    drawn = source(scene, SampleShares(object_hole=0.25, cutout=0.15))
    samples = [drawn.draw(np.random.default_rng(seed)) for seed in range(250)]
    assert Counter(sample.category for sample in samples)[FOREGROUND] / 250 == pytest.approx(0.15, abs=0.06)


def test_the_hole_of_a_foreground_entry_is_the_object_itself(object_list: PictureList) -> None:
    exact = source(object_list, SampleShares(part_hole=0), holes=MaskSampler(SIDE, dilation=NOT_GROWN))
    grown = source(object_list, SampleShares(part_hole=0))
    for seed in range(30):
        sample = exact.draw(np.random.default_rng(seed))
        assert sample.category == FOREGROUND
        red = (sample.picture != GREY).any(-1)
        assert red.any()
        assert np.array_equal(sample.hole, red)
        sample = grown.draw(np.random.default_rng(seed))
        assert sample.hole[(sample.picture != GREY).any(-1)].all()


def test_a_small_object_in_a_corner_is_in_every_crop_of_its_picture(tmp_path: Path) -> None:
    corner = np.zeros((400, 500), np.uint8)
    corner[390:, 490:] = 255
    drawn = source(
        listed(tmp_path, (grey(GREY, size=(500, 400)), encoded(Image.fromarray(corner)), "foreground")),
        SampleShares(part_hole=0),
        holes=MaskSampler(SIDE, dilation=NOT_GROWN),
    )
    for seed in range(20):
        assert drawn.draw(np.random.default_rng(seed)).hole.any()


def test_half_of_the_objects_holes_are_a_random_holes_part_of_them(object_list: PictureList) -> None:
    drawn = source(object_list, SampleShares(), holes=THIN)
    whole = 0
    for seed in range(200):
        sample = drawn.draw(np.random.default_rng(seed))
        red = (sample.picture != GREY).any(-1)
        assert sample.hole.any()
        assert red[sample.hole].all()
        whole += bool(np.array_equal(sample.hole, red))
    # Thin strokes miss so small an object now and then, ten times in a row too: then it is whole as well.
    assert 0.4 < whole / 200 < 0.65


def test_an_object_larger_than_half_the_picture_gets_a_part_as_its_hole(tmp_path: Path) -> None:
    everything = encoded(Image.new("L", (WIDTH, HEIGHT), 255))
    drawn = source(listed(tmp_path, (grey(GREY), everything, "foreground")), SampleShares(part_hole=0))
    for seed in range(20):
        sample = drawn.draw(np.random.default_rng(seed))
        assert sample.category == FOREGROUND
        assert 0 < sample.hole.mean() <= 0.5


def test_the_own_mask_of_a_background_entry_is_its_hole_as_often_as_asked(tmp_path: Path) -> None:
    pictures = listed(tmp_path, (object_picture(), square_mask(), "background"))
    shares = SampleShares(object_hole=0, cutout=0, scene_hole=0.5)
    drawn = source(pictures, shares, holes=MaskSampler(SIDE, dilation=NOT_GROWN))
    samples = [drawn.draw(np.random.default_rng(seed)) for seed in range(200)]
    own = [np.array_equal(sample.hole, (sample.picture != GREY).any(-1)) for sample in samples]
    assert {sample.category for sample in samples} == {BACKGROUND}
    assert np.mean(own) == pytest.approx(0.5, abs=0.12)  # less those whose crop has too little of the mask


def test_shapes_of_the_lists_own_objects_are_laid_on_background(tmp_path: Path) -> None:
    tall = np.zeros((HEIGHT, WIDTH), np.uint8)
    tall[10:70, 20:26] = 255
    pictures = listed(
        tmp_path,
        (object_picture(), encoded(Image.fromarray(tall)), "foreground"),
        (grey(GREY), None, "background"),
    )
    drawn = source(
        pictures,
        SampleShares(object_hole=1, cutout=0),
        cutouts=False,
        holes=MaskSampler(SIDE, dilation=NOT_GROWN),
    )
    for seed in range(20):
        sample = drawn.draw(np.random.default_rng(seed), index=1)
        assert sample.category == BACKGROUND
        assert (sample.picture == GREY).all()
        height, width = sample.hole.any(1).sum(), sample.hole.any(0).sum()
        assert height == pytest.approx(10 * width, rel=0.5)  # the object's shape, scaled


def test_no_hole_covers_more_than_half(tmp_path: Path) -> None:
    wide = np.full((30, 30, 4), 255, np.uint8)
    pictures = listed(
        tmp_path, (grey(GREY), None, "background"), (object_picture(), square_mask(), "foreground")
    )
    readable = ReadablePictures(pictures, cache=True)
    drawn = SampleSource(
        readable, SIDE, MaskSampler(SIDE), [wide], shares=SampleShares(object_hole=0.5, cutout=0.3)
    )
    for seed in range(200):
        assert 0 < drawn.draw(np.random.default_rng(seed)).hole.mean() <= 0.5


def test_a_shape_too_sparse_to_be_seen_leaves_its_place_to_a_random_hole(tmp_path: Path) -> None:
    dots = np.zeros((800, 800), np.uint8)
    dots[0, 0] = dots[-1, -1] = 255
    pictures = listed(
        tmp_path,
        (grey(GREY), None, "background"),
        (grey(GREY, size=(800, 800)), encoded(Image.fromarray(dots)), "foreground"),
    )
    drawn = source(pictures, SampleShares(object_hole=1, cutout=0), cutouts=False)
    assert drawn.draw(np.random.default_rng(0), index=0).hole.any()


def test_a_sample_is_a_function_of_its_seed_and_its_picture(tmp_path: Path) -> None:
    pictures = listed(
        tmp_path,
        (grey(GREY), None, "background"),
        (object_picture(), square_mask(), "foreground"),
        (grey(7), None, "background"),
    )
    for seed in range(20):
        one, again = (source(pictures, SampleShares()).draw(np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(one.picture, again.picture)
        assert np.array_equal(one.hole, again.hole)
    chosen = source(pictures, SampleShares(object_hole=0, cutout=0)).draw(np.random.default_rng(0), index=2)
    assert (chosen.picture == 7).all()


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
    levels = {"d.jpg": 200, "a.webp": 10, "c.JPEG": 150, "b.png": 60}
    for name, level in levels.items():
        Image.new("L", (8, 8), level).convert("RGB").save(tmp_path / name, quality=95)
    (tmp_path / "SOURCES.tsv").write_text("no picture")
    photos = load_photos(tmp_path)
    assert [int(photo[0, 0, 0]) for photo in photos] == pytest.approx([10, 60, 150, 200], abs=2)
    (tmp_path / "cutouts").mkdir()
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(tmp_path / "cutouts" / "object.png")
    assert load_cutouts(tmp_path / "cutouts")[0][0, 0].tolist() == [1, 2, 3, 4]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \*\.jpg, \*\.jpeg, \*\.png, \*\.webp in"):
        load_photos(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"\*\.png"):
        load_cutouts(tmp_path)
