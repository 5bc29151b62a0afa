"""The promise as a whole: same size and mode, and outside the effective mask the very same pixels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from service.contracts import Params, Strategy
from service.errors import EmptyMask
from service.imaging.crop_count import crop_count
from service.imaging.retouch import finish, prepare
from tests.unit.imaging.pictures import (
    MAX_PIXELS,
    MODES,
    box_mask,
    decoded,
    encoded,
    fills_of,
    flat,
    noise,
    retouched,
)

LOSSLESS = [
    *(("PNG", mode) for mode in MODES if mode != "CMYK"),
    *(("TIFF", mode) for mode in MODES),
    *(("BMP", mode) for mode in ("1", "L", "P", "RGB")),
    *(("PPM", mode) for mode in ("1", "L", "RGB")),
    ("GIF", "P"),
    ("WEBP", "RGB"),
    ("WEBP", "RGBA"),
]


def values(image: Image.Image) -> np.ndarray[Any, Any]:
    """What a decoder shows: a palette's places may move, its colours may not."""
    return np.asarray(image.convert("RGBA") if image.mode == "P" else image)


@st.composite
def masks(draw: st.DrawFn, width: int, height: int) -> Image.Image:
    """Boxes, specks, lines or everything."""
    kind = draw(st.sampled_from(["boxes", "specks", "line", "full"]))
    flags = np.zeros((height, width), np.bool_)
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    flags[y, x] = True
    if kind == "boxes":
        for _ in range(draw(st.integers(1, 4))):
            left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
            flags[top : top + draw(st.integers(1, 60)), left : left + draw(st.integers(1, 60))] = True
    elif kind == "specks":
        flags |= np.random.default_rng(draw(st.integers(0, 99))).random(flags.shape) > 0.995
    elif kind == "line":
        flags[y : y + draw(st.integers(1, 6))] = True
    else:
        flags[:] = True
    return Image.fromarray(flags.astype(np.uint8) * 255)


@pytest.mark.parametrize(("picture_format", "mode"), LOSSLESS)
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_outside_the_effective_mask_every_pixel_is_the_same(
    picture_format: str, mode: str, data: st.DataObject
) -> None:
    width, height = data.draw(st.integers(8, 200)), data.draw(st.integers(8, 200))
    image = noise(mode, width, height, data.draw(st.integers(0, 9)))
    options = {"lossless": True, "exact": True} if picture_format == "WEBP" else {}
    params = Params(
        dilate=data.draw(st.none() | st.integers(0, 20)),
        feather=data.draw(st.none() | st.integers(0, 20)),
        strategy=data.draw(st.sampled_from(Strategy)),
        color_match=data.draw(st.booleans()),
    )
    mask = data.draw(masks(width, height))
    retouch, done = retouched(encoded(image, picture_format, **options), encoded(mask), params)
    result = decoded(done.data)
    assert (result.format, result.mode, result.size) == (picture_format, mode, (width, height))
    outside = ~retouch.effective_mask
    np.testing.assert_array_equal(values(result)[outside], values(image)[outside])
    assert not (outside & (np.asarray(mask) > 0)).any()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "CMYK", "1", "P"])
def test_inside_the_mask_there_is_the_fill(mode: str) -> None:
    image, mask = noise(mode, 96, 80), box_mask(96, 80, (30, 30, 60, 60))
    _, done = retouched(encoded(image, "TIFF"), encoded(mask), color=(1, 1, 1))
    result = decoded(done.data)
    colors = np.asarray(result if mode == "I;16" else result.convert("RGB"))[32:58, 32:58]
    assert (colors == (65_535 if mode == "I;16" else 255)).all()


@pytest.mark.parametrize(("level", "white"), [(-0.1, False), (0.1, True)])
def test_a_picture_of_two_colours_gets_the_nearer_one(level: float, white: bool) -> None:
    image, mask = noise("1", 96, 80), box_mask(96, 80, (30, 30, 60, 60))
    _, done = retouched(encoded(image), encoded(mask), color=(level, level, level))
    assert (np.asarray(decoded(done.data))[32:58, 32:58] == white).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_never_changed(mode: str) -> None:
    image = noise(mode, 96, 80)
    _, done = retouched(encoded(image), encoded(flat("L", 255)))
    np.testing.assert_array_equal(np.asarray(decoded(done.data))[..., -1], np.asarray(image)[..., -1])


@pytest.mark.parametrize("picture_format", ["PNG", "WEBP"])
def test_colors_behind_clear_pixels_are_left_alone(picture_format: str) -> None:
    image = noise("RGBA", 96, 80)
    image.paste((12, 34, 56, 0), (0, 0, 96, 45))
    options = {"lossless": True, "exact": True} if picture_format == "WEBP" else {}
    mask = encoded(box_mask(96, 80, (30, 30, 60, 60)))
    _, done = retouched(encoded(image, picture_format, **options), mask)
    result = np.asarray(decoded(done.data))
    assert (result[:45] == (12, 34, 56, 0)).all()
    assert tuple(result[50, 45, :3]) == (255, 0, 0)


def test_a_hole_in_nothing_but_clear_pixels_is_refused() -> None:
    image, mask = encoded(flat("RGBA", (9, 9, 9, 0))), encoded(box_mask(96, 80, (30, 30, 60, 60)))
    with pytest.raises(EmptyMask, match="transparent"):
        prepare(image, mask, Params(), model_size=64, max_pixels=MAX_PIXELS)


def test_sixteen_bit_gray_is_filled_in_more_than_256_levels() -> None:
    params = Params(color_match=False, dilate=0, feather=0, strategy=Strategy.RESIZE)
    mask = encoded(box_mask(512, 512, (0, 0, 512, 500)))
    retouch = prepare(encoded(noise("I;16", 512, 512)), mask, params, model_size=64, max_pixels=MAX_PIXELS)
    fills = np.broadcast_to(np.linspace(-1, 1, 64, dtype=np.float32), (1, 3, 64, 64))
    result = np.asarray(decoded(finish(retouch, fills, params).data))
    assert len(np.unique(result[100])) > 256


def test_a_jpeg_outside_the_mask_changes_by_rounding_alone() -> None:
    image = noise("RGB", 24, 20).resize((96, 80), Image.Resampling.BICUBIC)
    source = encoded(image, "JPEG", quality=92, subsampling=0)
    retouch, done = retouched(source, encoded(box_mask(96, 80, (30, 30, 60, 60))))
    # Blocks of 8 x 8 pixels that the hole touches share its coefficients.
    box = retouch.hole.box
    far = np.ones((80, 96), np.bool_)
    far[box.top // 8 * 8 : box.bottom // 8 * 8 + 8, box.left // 8 * 8 : box.right // 8 * 8 + 8] = False
    difference = np.asarray(decoded(done.data)).astype(int) - np.asarray(decoded(source))
    assert np.abs(difference[far]).max() <= 4
    assert (difference[far] == 0).mean() > 0.95


def test_one_preparation_serves_several_candidates_at_once() -> None:
    image, mask = encoded(noise("P", 96, 80)), encoded(box_mask(96, 80, (30, 30, 60, 60)))
    params = Params(color_match=False)
    retouch = prepare(image, mask, params, model_size=64, max_pixels=MAX_PIXELS)
    colors = [(step / 4 - 1, 0.0, 1.0) for step in range(8)]

    def candidate(color: tuple[float, float, float]) -> bytes:
        return finish(retouch, fills_of(retouch, color), params).data

    alone = [candidate(color) for color in colors]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(candidate, colors)) == alone
    assert len(set(alone)) == 8


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_tiles_are_as_many_as_were_counted_beforehand(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(8, 400)), data.draw(st.integers(8, 400))
    mask = data.draw(masks(width, height))
    params = Params(
        dilate=data.draw(st.none() | st.integers(0, 20)),
        context=data.draw(st.none() | st.integers(0, 200)),
        strategy=data.draw(st.sampled_from(Strategy)),
    )
    counted = crop_count(np.asarray(mask) > 0, params, 64)
    retouch = prepare(
        encoded(noise("RGB", width, height)), encoded(mask), params, model_size=64, max_pixels=MAX_PIXELS
    )
    assert len(retouch.tiles) + retouch.fine_tiles == len(retouch.boxes) == counted


def test_the_boxes_are_those_of_the_tiles() -> None:
    mask = box_mask(500, 400, (10, 10, 40, 40))
    mask.paste(255, (400, 300, 420, 320))
    retouch, _ = retouched(encoded(noise("RGB", 500, 400)), encoded(mask))
    assert len(retouch.tiles) == len(retouch.boxes) == 2
    assert {tile.shape for tile, _ in retouch.tiles} == {(3, 64, 64)}
    assert {tile_mask.shape for _, tile_mask in retouch.tiles} == {(64, 64)}
