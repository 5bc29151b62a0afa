"""Paste-back: tone, feather, tiles that meet without a seam, and its relation to the published one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from service.contracts import Params, Strategy
from service.imaging.compose import blended, matched
from service.imaging.picture import Flags
from service.imaging.retouch import finish, prepare
from service.imaging.tiles import TileCrop
from service.imaging.tone import ring_shift
from tests.unit.imaging.pictures import (
    MAX_PIXELS,
    MODEL_SIZE,
    box_mask,
    decoded,
    encoded,
    fills_of,
    flat,
    noise,
    retouched,
)

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "golden" / "paste.npz"


def published_ring(mask: Flags) -> Flags:
    """Five pixels around the mask's bounding box, without the mask (golden/README.md)."""
    ring = np.zeros_like(mask)
    spans = []
    for line in (np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))):
        middle, reach = (line[0] + line[-1]) // 2, (line[-1] - line[0] + 1 + 10) // 2
        spans.append(slice(max(0, middle - reach), middle + reach + 1))
    ring[spans[0], spans[1]] = True
    return ring & ~mask


def test_the_published_compensation_is_our_ring_mean_times_1_1() -> None:
    golden = np.load(GOLDEN)
    image, generated = (np.moveaxis(golden[name], 2, 0) / 255 for name in ("image", "generated"))
    ring = published_ring(golden["mask"] > 0)
    shift = 1.1 * ring_shift(image.astype(np.float32), generated.astype(np.float32), ring).astype(float)
    blurred = np.asarray(Image.fromarray(golden["mask"]).filter(ImageFilter.GaussianBlur(3))) / 255
    pasted = image * (1 - blurred) + (generated + shift[:, None, None]) * blurred
    expected = np.moveaxis(np.clip(pasted, 0, 1) * 255, 0, 2)
    # The published paste-back truncates where ours would round.
    np.testing.assert_array_equal(np.floor(expected), golden["paste_compensated"])


def test_the_fill_takes_the_tone_of_the_ring_around_the_hole() -> None:
    image, mask = encoded(flat("RGB", (100, 150, 200))), encoded(box_mask(96, 80, (40, 30, 60, 50)))
    params = Params(dilate=0, feather=0)
    retouch, done = retouched(image, mask, params, color=(0.5, 0.5, 0.5))
    np.testing.assert_array_equal(decoded(done.data), np.asarray(flat("RGB", (100, 150, 200))))
    unmatched = finish(retouch, fills_of(retouch, (0.5, 0.5, 0.5)), Params(color_match=False))
    assert decoded(unmatched.data).getpixel((50, 40)) == (191, 191, 191)


def test_an_empty_ring_shifts_nothing() -> None:
    image, mask = encoded(flat("RGB", (100, 150, 200))), encoded(flat("L", 255))
    _, done = retouched(image, mask, Params(), color=(1, 0, -1))
    assert decoded(done.data).getpixel((50, 40)) == (255, 128, 0)


def test_padding_is_no_part_of_the_ring() -> None:
    image, mask = np.zeros((3, 32, 32), np.float32), np.zeros((32, 32), np.float32)
    mask[:16, 16:24] = 1
    known = np.zeros((32, 32), np.bool_)
    known[:, :16] = True
    image[:, :, 24:] = 1
    tile = TileCrop(image, mask, known)
    np.testing.assert_array_equal(matched(np.full((3, 32, 32), 0.5, np.float32), tile), 0)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([np.uint8, np.uint16]))
def test_blending_rounds_to_the_nearest_level(seed: int, kind: type[np.uint8] | type[np.uint16]) -> None:
    generator = np.random.default_rng(seed)
    white = int(np.iinfo(kind).max)
    below, above = (generator.integers(0, white + 1, (5, 6, 3)) for _ in range(2))
    alpha = generator.integers(0, 256, (5, 6), dtype=np.uint8)
    weight = alpha[..., None] / 255
    exact = below * (1 - weight) + above * weight
    assert np.abs(blended(below.astype(kind), above.astype(kind), alpha) - exact).max() <= 0.5 + 1e-6


def test_blending_with_alpha_0_or_255_is_exact() -> None:
    below, above = (np.arange(256, dtype=np.uint8).reshape(16, 16, 1) for _ in range(2))
    above = 255 - above
    np.testing.assert_array_equal(blended(below, above, np.zeros((16, 16), np.uint8)), below)
    np.testing.assert_array_equal(blended(below, above, np.full((16, 16), 255, np.uint8)), above)


@pytest.mark.parametrize("size", [(400, 96), (96, 400), (296, 296)])
def test_a_fill_that_is_the_photo_itself_leaves_no_trace_at_native_resolution(size: tuple[int, int]) -> None:
    image = noise("RGB", *size)
    params = Params(color_match=False, context=0)
    retouch = prepare(
        encoded(image), encoded(flat("L", 255, *size)), params, model_size=min(size), max_pixels=MAX_PIXELS
    )
    fills = np.stack([tile for tile, _ in retouch.tiles])
    np.testing.assert_array_equal(decoded(finish(retouch, fills, params).data), image)


def test_a_fill_fades_into_the_photo_as_its_mask_does() -> None:
    params = Params(color_match=False, dilate=4, feather=8)
    image, mask = encoded(flat("L", 0)), encoded(box_mask(96, 80, (40, 30, 60, 50)))
    retouch, done = retouched(image, mask, params, color=(1, 1, 1))
    expected = np.zeros((80, 96), np.uint8)
    box = retouch.hole.box
    expected[box.top : box.bottom, box.left : box.right] = retouch.hole.alpha
    assert len(np.unique(expected)) > 4
    np.testing.assert_array_equal(decoded(done.data), expected)


def test_a_fill_follows_light_that_rises_along_the_hole() -> None:
    ramp = np.broadcast_to(np.linspace(70, 190, 96).round().astype(np.uint8), (80, 96))
    image, mask = encoded(Image.fromarray(ramp)), encoded(box_mask(96, 80, (24, 24, 72, 56)))
    _, done = retouched(image, mask, Params(dilate=0, feather=0), color=(0, 0, 0), model_size=96)
    off = np.abs(np.asarray(decoded(done.data)).astype(int) - ramp)[24:56, 24:72]
    assert off.mean() < 7, "a fill of the mean tone alone is off by 15"
    assert off[:, [0, -1]].mean() < 10, "a seam"


def test_a_fill_brighter_than_white_is_white_and_not_dark_again() -> None:
    image, mask = encoded(flat("RGB", (100, 150, 200))), encoded(box_mask(96, 80, (40, 30, 60, 50)))
    _, done = retouched(image, mask, color=(1.2, -1.2, 0))
    assert decoded(done.data).getpixel((50, 40)) == (255, 0, 128)


@pytest.mark.parametrize(
    ("size", "model_size"), [((400, 64), 64), ((64, 400), 64), ((640, 1500), 640)], ids=str
)
def test_overlapping_tiles_fade_into_each_other(size: tuple[int, int], model_size: int) -> None:
    """The last ones are so large that they are pasted strip by strip."""
    params = Params(color_match=False, context=0)
    upright = size[1] > size[0]
    image, mask = encoded(flat("RGB", 0, *size)), encoded(flat("L", 255, *size))
    retouch = prepare(image, mask, params, model_size=model_size, max_pixels=MAX_PIXELS)
    fills = fills_of(retouch)
    fills[:] = np.where(np.arange(len(fills)) % 2, 0.8, 0.2)[:, None, None, None]
    result = np.asarray(decoded(finish(retouch, fills, params).data))[..., 0].astype(int)
    row = result[:, 32] if upright else result[32]
    assert len(fills) >= 3
    assert (row.min(), row.max()) == (153, 230)
    assert np.abs(np.diff(row)).max() < 25


def test_a_fill_made_smaller_comes_back_in_place() -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 512)[None, :, None], (512, 512, 3)).round().astype(np.uint8)
    image = encoded(decoded(encoded(flat("RGB", 0))).resize((512, 512)))
    params = Params(color_match=False, dilate=0, feather=0, strategy=Strategy.RESIZE)
    mask = encoded(box_mask(512, 512, (100, 100, 400, 400)))
    retouch = prepare(image, mask, params, model_size=MODEL_SIZE, max_pixels=MAX_PIXELS)
    small = ramp.reshape(64, 8, 64, 8, 3).mean(axis=(1, 3)).astype(np.float32)
    fills = (np.moveaxis(small, 2, 0) / 127.5 - 1)[None]
    result = np.asarray(decoded(finish(retouch, fills, params).data)).astype(int)
    assert np.abs(result[100:400, 100:400] - ramp[100:400, 100:400]).max() <= 1


def test_a_hole_is_filled_at_its_own_place_in_each_of_several_regions() -> None:
    mask = box_mask(600, 600, (20, 20, 40, 40))
    mask.paste(255, (500, 480, 530, 500))
    params = Params(color_match=False, dilate=0, feather=0)
    retouch = prepare(
        encoded(flat("RGB", 0, 600, 600)), encoded(mask), params, model_size=64, max_pixels=MAX_PIXELS
    )
    fills = fills_of(retouch, (-1, -1, -1))
    fills[1] = 1
    result = np.asarray(decoded(finish(retouch, fills, params).data))[..., 0]
    box = retouch.boxes[1]
    inside = np.zeros((600, 600), np.bool_)
    inside[box.top : box.bottom, box.left : box.right] = True
    np.testing.assert_array_equal(result == 255, inside & (np.asarray(mask) > 0))
