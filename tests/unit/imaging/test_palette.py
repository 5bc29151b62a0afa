"""Palette pictures: the fill takes free places; without any the picture becomes RGB, a GIF stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from service.contracts import Params
from service.imaging.retouch import finish, prepare
from tests.unit.imaging.pictures import (
    MAX_PIXELS,
    MODEL_SIZE,
    box_mask,
    decoded,
    encoded,
    fills_of,
    retouched,
)

SHARP = Params(color_match=False, dilate=0, feather=0)
BOX = (30, 30, 60, 60)
MASK = encoded(box_mask(96, 80, BOX))


def palette_picture(colors: int, *, transparency: bytes | int | None = None) -> Image.Image:
    """96 x 80, every one of `colors` in use outside BOX; index 0 fills BOX."""
    generator = np.random.default_rng(3)
    indices = (np.arange(96 * 80) % colors).astype(np.uint8).reshape(80, 96)
    indices[30:60, 30:60] = 0
    image = Image.frombytes("P", (96, 80), indices.tobytes())
    image.putpalette(generator.integers(0, 200, colors * 3, dtype=np.uint8).tobytes())
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


def rgb(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(image.convert("RGBA"))


def filled_with_ramp(
    data: bytes,
) -> tuple[Image.Image, tuple[str, ...], np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """The picture filled with some 900 colours; its notes; and the flags of what may have changed."""
    retouch = prepare(data, MASK, SHARP, model_size=MODEL_SIZE, max_pixels=MAX_PIXELS)
    fills = fills_of(retouch)
    ramp = np.linspace(-1, 1, MODEL_SIZE, dtype=np.float32)
    fills[:, 0], fills[:, 1], fills[:, 2] = ramp[None, :], ramp[:, None], 0
    done = finish(retouch, fills, SHARP)
    return decoded(done.data), done.notes, retouch.effective_mask.astype(np.uint8)


@pytest.mark.parametrize("picture_format", ["PNG", "GIF", "BMP", "TIFF"])
def test_the_fill_gets_a_free_place_exactly(picture_format: str) -> None:
    image = palette_picture(100)
    _, done = retouched(encoded(image, picture_format), MASK, SHARP, color=(1, 0, -1))
    result = decoded(done.data)
    assert (result.mode, result.format, done.notes) == ("P", picture_format, ())
    assert tuple(rgb(result)[45, 45]) == (255, 128, 0, 255)
    outside = np.asarray(box_mask(96, 80, BOX)) == 0
    np.testing.assert_array_equal(rgb(result)[outside], rgb(image)[outside])


def test_many_colors_are_reduced_to_the_free_places() -> None:
    image = palette_picture(100)
    result, notes, changed = filled_with_ramp(encoded(image))
    assert result.mode == "P"
    assert "nearest" in notes[0]
    np.testing.assert_array_equal(rgb(result)[changed == 0], rgb(image)[changed == 0])
    assert len(np.unique(rgb(result)[changed == 1], axis=0)) > 100


def test_a_colour_that_a_single_pixel_has_is_no_free_place() -> None:
    image = palette_picture(100)
    for place, index in enumerate(image.tobytes()):
        if index == 99 and place != 99:
            image.putpixel((place % 96, place // 96), 98)
    assert image.histogram()[99] == 1
    result, _, changed = filled_with_ramp(encoded(image))
    assert result.mode == "P"
    np.testing.assert_array_equal(rgb(result)[changed == 0], rgb(image)[changed == 0])


def test_a_full_palette_becomes_rgb_and_says_so() -> None:
    image = palette_picture(256)
    result, notes, changed = filled_with_ramp(encoded(image))
    assert result.mode == "RGB"
    assert "RGB" in notes[0]
    np.testing.assert_array_equal(rgb(result)[changed == 0], rgb(image)[changed == 0])
    assert len(np.unique(rgb(result)[changed == 1], axis=0)) > 800


def test_a_full_gif_keeps_its_palette() -> None:
    image = palette_picture(256)
    result, notes, changed = filled_with_ramp(encoded(image, "GIF"))
    assert (result.mode, result.format) == ("P", "GIF")
    assert "nearest" in notes[0]
    np.testing.assert_array_equal(rgb(result)[changed == 0], rgb(image)[changed == 0])
    assert len(np.unique(rgb(result)[changed == 1], axis=0)) > 30


@pytest.mark.parametrize(("picture_format", "transparency"), [("PNG", bytes([255, 0, 90])), ("GIF", 1)])
def test_transparent_places_stay_and_are_not_painted_with(
    picture_format: str, transparency: bytes | int
) -> None:
    image = palette_picture(100, transparency=transparency)
    color = tuple(float(v) / 127.5 - 1 for v in (image.getpalette() or [])[3:6])
    _, done = retouched(
        encoded(image, picture_format, transparency=transparency),
        MASK,
        SHARP,
        color=(color[0], color[1], color[2]),
    )
    result = decoded(done.data)
    assert result.mode == "P"
    np.testing.assert_array_equal(rgb(result)[..., 3], rgb(image)[..., 3])


def test_a_full_gif_does_not_become_transparent_where_the_fill_has_the_transparent_color() -> None:
    image = palette_picture(256, transparency=1)
    red, green, blue = (value / 127.5 - 1 for value in (image.getpalette() or [])[3:6])
    source = encoded(image, "GIF", transparency=1)
    _, done = retouched(source, MASK, SHARP, color=(red, green, blue))
    np.testing.assert_array_equal(rgb(decoded(done.data))[..., 3], rgb(image)[..., 3])


def test_a_half_transparent_hole_becomes_rgba() -> None:
    image = palette_picture(100, transparency=bytes([90]))
    _, done = retouched(encoded(image, transparency=bytes([90])), MASK, SHARP, color=(1, 0, -1))
    result = decoded(done.data)
    assert (result.mode, tuple(rgb(result)[45, 45])) == ("RGBA", (255, 128, 0, 90))
    assert "RGBA" in done.notes[0]
