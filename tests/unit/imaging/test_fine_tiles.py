"""Large holes: looked at once as a whole, then in finer tiles that agree with each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from service.contracts import MAX_CROPS, Params, Strategy
from service.imaging.crops import Region
from service.imaging.fine_tiles import MOST_TILES, noise_windows
from service.imaging.regions import plan_regions
from service.imaging.retouch import finish, prepare, refine
from tests.unit.imaging.pictures import MAX_PIXELS, box_mask, decoded, encoded, fills_of, flat, noise

MODEL = 64
SIZE = (600, 500)
HOLE = (100, 80, 480, 400)


def regions_of(
    size: tuple[int, int], *holes: tuple[int, int, int, int], model: int = MODEL
) -> tuple[Region, ...]:
    mask = np.zeros((size[1], size[0]), np.bool_)
    for left, top, right, bottom in holes:
        mask[top:bottom, left:right] = True
    return plan_regions(mask, model_size=model)


def test_a_hole_longer_than_three_times_the_model_is_looked_at_twice() -> None:
    (region,) = regions_of((1000, 1000), (300, 300, 300 + 3 * MODEL + 1, 400))
    assert region.fine
    assert region.fine[0].side <= region.crops[0].side / 1.5


@pytest.mark.parametrize(
    "hole", [(300, 300, 300 + 3 * MODEL, 400), (300, 300, 340, 340), (100, 300, 900, 330)], ids=str
)
def test_a_smaller_one_or_a_slender_one_is_looked_at_once(hole: tuple[int, int, int, int]) -> None:
    assert not any(region.fine for region in regions_of((1000, 1000), hole))


def test_the_tiles_are_as_fine_as_their_number_allows() -> None:
    (huge,) = regions_of((4000, 4000), (100, 100, 3900, 3900))
    (smaller,) = regions_of((4000, 4000), (100, 100, 500, 500))
    assert len(smaller.fine) <= len(huge.fine) <= MOST_TILES
    assert smaller.fine[0].side < 2 * MODEL
    assert huge.fine[0].side < huge.crops[0].side / 3


def test_no_tile_is_spent_where_there_is_no_hole() -> None:
    mask = np.zeros((2000, 2000), np.bool_)
    mask[100:1900, 100:500] = mask[1500:1900, 100:1900] = True
    (region,) = plan_regions(mask, model_size=MODEL)
    assert region.fine
    for tile in region.fine:
        core = tile.core
        assert mask[core.top : core.bottom, core.left : core.right].any()


def test_several_large_holes_share_what_may_be_spent() -> None:
    corners = [(100, 100), (2500, 100), (100, 2500), (2500, 2500)]
    regions = regions_of((4000, 4000), *((x, y, x + 1200, y + 1200) for x, y in corners))
    assert len(regions) == 4
    assert all(region.fine for region in regions)
    assert sum(len(region.fine) for region in regions) <= MOST_TILES
    assert sum(len(region.crops) + len(region.fine) for region in regions) <= MAX_CROPS


def test_a_resized_picture_has_no_second_pass() -> None:
    mask = np.ones((1000, 1000), np.bool_)
    assert not plan_regions(mask, model_size=MODEL, strategy=Strategy.RESIZE)[0].fine


def test_neighbours_start_from_the_same_noise_at_the_same_place() -> None:
    (region,) = regions_of((2000, 2000), (100, 100, 1500, 1500))
    windows = noise_windows(region.fine, MODEL, stream=9)
    step = region.fine[0].side // (MODEL // 8)
    for tile, window in zip(region.fine, windows, strict=True):
        assert window.stream == 9
        assert 0 <= window.top <= window.rows - MODEL // 8
        assert 0 <= window.left <= window.columns - MODEL // 8
        for other, at in zip(region.fine, windows, strict=True):
            assert (other.box.left - tile.box.left) % step == (other.box.top - tile.box.top) % step == 0
            assert abs((other.box.left - tile.box.left) - (at.left - window.left) * step) <= step / 2
            assert abs((other.box.top - tile.box.top) - (at.top - window.top) * step) <= step / 2


def test_the_tiles_show_the_photo_outside_the_hole_and_the_first_fill_inside() -> None:
    image, mask = encoded(noise("RGB", *SIZE)), encoded(box_mask(*SIZE, HOLE))
    params = Params(color_match=False, dilate=0, feather=0)
    retouch = prepare(image, mask, params, model_size=MODEL, max_pixels=MAX_PIXELS)
    assert retouch.refines
    refinement = refine(retouch, fills_of(retouch, (1.0, -1.0, -1.0)), params)
    assert len(refinement.crops) == len(refinement.noise) == retouch.fine_tiles
    for tile in refinement.crops:
        inside = ndimage.binary_erosion(tile.mask > 0, iterations=9, border_value=1)
        assert np.abs(tile.image[:, inside] - np.array([[1], [-1], [-1]])).max(initial=0) < 1e-3


def test_the_fine_fills_are_what_is_pasted_and_the_photo_around_stays() -> None:
    image, mask = noise("RGB", *SIZE), box_mask(*SIZE, HOLE)
    params = Params(color_match=False, dilate=0, feather=0)
    retouch = prepare(encoded(image), encoded(mask), params, model_size=MODEL, max_pixels=MAX_PIXELS)
    refinement = refine(retouch, fills_of(retouch, (1.0, -1.0, -1.0)), params)
    fine = np.broadcast_to(
        np.array([-1, 1, -1], np.float32)[:, None, None], (retouch.fine_tiles, 3, MODEL, MODEL)
    )
    result = np.asarray(decoded(finish(retouch, fine, params, refinement).data))
    hole = np.asarray(mask) > 0
    assert (result[hole] == (0, 255, 0)).all()
    np.testing.assert_array_equal(result[~hole], np.asarray(image)[~hole])


def test_tiles_of_other_tones_do_not_show_when_the_tone_is_matched() -> None:
    image, mask = flat("RGB", (128, 128, 128), *SIZE), box_mask(*SIZE, HOLE)
    params = Params()
    retouch = prepare(encoded(image), encoded(mask), params, model_size=MODEL, max_pixels=MAX_PIXELS)
    refinement = refine(retouch, fills_of(retouch, (0.0, 0.0, 0.0)), params)
    levels = np.random.default_rng(0).uniform(-0.5, 0.5, retouch.fine_tiles).astype(np.float32)
    fine = np.broadcast_to(levels[:, None, None, None], (retouch.fine_tiles, 3, MODEL, MODEL))
    matched = np.asarray(decoded(finish(retouch, fine, params, refinement).data)).astype(int)
    plain = Params(color_match=False)
    unmatched = np.asarray(decoded(finish(retouch, fine, plain, refinement).data)).astype(int)
    assert np.abs(matched - 128).max() <= 3
    assert np.abs(unmatched - 128).max() > 40


def test_the_tone_is_matched_without_loss_of_the_detail_that_fine_tiles_add() -> None:
    image, mask = flat("RGB", (128, 128, 128), 1200, 1200), box_mask(1200, 1200, (100, 100, 1100, 1100))
    retouch = prepare(encoded(image), encoded(mask), Params(), model_size=MODEL, max_pixels=MAX_PIXELS)
    refinement = refine(retouch, fills_of(retouch, (0.0, 0.0, 0.0)), Params())
    stripes = np.where(np.arange(MODEL) % 16 < 8, 0.2, -0.2).astype(np.float32)
    fine = np.broadcast_to(stripes, (retouch.fine_tiles, 3, MODEL, MODEL))
    matched = np.asarray(decoded(finish(retouch, fine, Params(), refinement).data))[300:900, 300:900, 0]
    assert matched.std() > 0.8 * 0.2 * 127.5


def test_each_hole_has_noise_of_its_own_that_no_first_crop_has() -> None:
    mask = box_mask(1600, 700, (50, 100, 650, 600))
    mask.paste(255, (950, 100, 1550, 600))
    params = Params(color_match=False)
    retouch = prepare(
        encoded(flat("L", 90, 1600, 700)), encoded(mask), params, model_size=MODEL, max_pixels=MAX_PIXELS
    )
    tiles = [len(region.fine) for region in retouch.regions]
    assert len(tiles) == 2
    assert min(tiles) > 0
    streams = [window.stream for window in refine(retouch, fills_of(retouch), params).noise]
    own = [set(streams[: tiles[0]]), set(streams[tiles[0] :])]
    assert [len(each) for each in own] == [1, 1]
    assert len({*own[0], *own[1], *range(len(retouch.crops))}) == 2 + len(retouch.crops)


def test_without_a_second_pass_the_first_fill_is_the_answer() -> None:
    retouch = prepare(
        encoded(noise("RGB", *SIZE)),
        encoded(box_mask(*SIZE, HOLE)),
        Params(color_match=False),
        model_size=MODEL,
        max_pixels=MAX_PIXELS,
    )
    done = finish(retouch, fills_of(retouch, (1.0, 1.0, 1.0)), Params(color_match=False))
    assert decoded(done.data).getpixel((300, 250)) == (255, 255, 255)
