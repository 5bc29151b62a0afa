"""Previews: the whole photo made small, its hole in the colours of the latents, at most so many bytes."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from service.contracts import Params
from service.imaging.preview import MOST_BYTES, PreviewCanvas
from service.imaging.retouch import Retouch, prepare, refine
from service.imaging.thumbnail import LONGEST_SIDE
from service.imaging.tiles import Floats

MODEL_SIZE = 64
CELLS = MODEL_SIZE // 8
MAGENTA = np.array([1, -1, 1], np.float32)[:, None, None] * np.ones((1, CELLS, CELLS), np.float32)
TOLERANCE = 12  # levels: JPEG's, on smooth pictures


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def ramp(size: tuple[int, int]) -> Image.Image:
    """Darker at the left, brighter at the right."""
    levels = np.linspace(40, 200, size[0]).astype(np.uint8)
    return Image.fromarray(np.repeat(np.repeat(levels[None, :, None], size[1], axis=0), 3, axis=2))


def retouch_of(image: bytes, size: tuple[int, int], **params: Any) -> Retouch:
    """A retouch whose hole is the middle ninth."""
    mask = Image.new("L", size)
    mask.paste(255, (size[0] // 3, size[1] // 3, 2 * size[0] // 3, 2 * size[1] // 3))
    checked = Params.model_validate({"dilate": 0, "feather": 0, **params})
    return prepare(image, encoded(mask), checked, model_size=MODEL_SIZE, max_pixels=50_000_000)


def painted(retouch: Retouch, colors: Floats = MAGENTA) -> Image.Image:
    """The preview with the same colours in every crop of the first pass."""
    canvas = PreviewCanvas(retouch, color_match=False)
    for crop in range(len(retouch.crops)):
        canvas.paint(crop, colors)
    return Image.open(io.BytesIO(canvas.encoded()))


@pytest.mark.parametrize("size", [(96, 80), (256, 256), (1600, 900), (700, 3000)])
def test_it_is_the_whole_photo_small_with_the_colours_in_its_hole(size: tuple[int, int]) -> None:
    preview = painted(retouch_of(encoded(ramp(size)), size))
    assert preview.format == "JPEG"
    assert max(preview.size) == min(max(size), LONGEST_SIDE)
    assert preview.width / preview.height == pytest.approx(size[0] / size[1], rel=0.03)
    pixels = np.asarray(preview, np.int16)
    height, width, _ = pixels.shape
    middle = pixels[height // 2, width // 2]
    assert np.abs(middle - [255, 0, 255]).max() < 3 * TOLERANCE
    expected = np.asarray(ramp(size).resize(preview.size, Image.Resampling.BOX), np.int16)
    outside = np.ones((height, width), np.bool_)
    outside[height // 3 - 8 : 2 * height // 3 + 8, width // 3 - 8 : 2 * width // 3 + 8] = False
    assert np.abs(pixels - expected)[outside].max() < TOLERANCE


def with_object(size: tuple[int, int]) -> Image.Image:
    """The ramp with something black in its middle ninth, a little smaller than the hole."""
    photo = ramp(size)
    width, height = size
    photo.paste((0, 0, 0), (width // 3 + 2, height // 3 + 2, 2 * width // 3 - 2, 2 * height // 3 - 2))
    return photo


@pytest.mark.parametrize("size", [(96, 80), (1600, 900)])
def test_a_hole_that_has_not_begun_goes_on_as_what_is_around_it_and_shows_no_object(
    size: tuple[int, int],
) -> None:
    canvas = PreviewCanvas(retouch_of(encoded(with_object(size)), size, dilate=4), color_match=False)
    pixels = np.asarray(Image.open(io.BytesIO(canvas.encoded())), np.int16)
    expected = np.asarray(ramp(size).resize(canvas.size, Image.Resampling.BOX), np.int16)
    assert np.abs(pixels - expected).max() < 2 * TOLERANCE


def test_a_photo_that_is_all_hole_begins_as_grey() -> None:
    size = (96, 80)
    mask = encoded(Image.new("L", size, 255))
    retouch = prepare(encoded(ramp(size)), mask, Params(), model_size=MODEL_SIZE, max_pixels=50_000_000)
    pixels = np.asarray(Image.open(io.BytesIO(PreviewCanvas(retouch, color_match=True).encoded())), np.int16)
    assert np.abs(pixels - 128).max() < TOLERANCE


def long_hole() -> Retouch:
    """A grey photo whose hole takes several crops, side by side."""
    size = (400, 64)
    mask = encoded(Image.new("L", size, 255))
    params = Params(dilate=0, feather=0, context=0)
    photo = encoded(Image.new("RGB", size, (128, 128, 128)))
    return prepare(photo, mask, params, model_size=MODEL_SIZE, max_pixels=50_000_000)


def test_overlapping_crops_fade_into_each_other_in_whatever_order_they_are_painted() -> None:
    retouch = long_hole()
    count = len(retouch.boxes)
    assert count > 2
    seen = []
    for order in (range(count), reversed(range(count))):
        canvas = PreviewCanvas(retouch, color_match=False)
        for crop in order:
            canvas.paint(crop, np.full((3, CELLS, CELLS), 0.5 if crop % 2 else -0.5, np.float32))
        seen.append(np.asarray(Image.open(io.BytesIO(canvas.encoded())), np.int16)[20, :, 0])
    assert np.array_equal(seen[0], seen[1])
    assert np.ptp(seen[0]) > 100
    assert np.abs(np.diff(seen[0])).max() < 60, "a hard edge is twice as high"


def test_a_hole_that_is_looked_at_twice_shows_its_first_fill_before_the_second_begins() -> None:
    size = (1000, 800)
    photo = with_object(size)
    mask = Image.new("L", size)
    mask.paste(255, (100, 100, 900, 700))
    params = Params(dilate=0, feather=0, color_match=False)
    retouch = prepare(encoded(photo), encoded(mask), params, model_size=MODEL_SIZE, max_pixels=50_000_000)
    assert retouch.refines
    fills = np.full((len(retouch.crops), 3, MODEL_SIZE, MODEL_SIZE), 0.4, np.float32)
    fills[:, 0, :, MODEL_SIZE // 2 :] = -0.4  # less red at the right
    canvas = PreviewCanvas(retouch, color_match=False)
    canvas.refine(refine(retouch, fills, params).crops)
    pixels = np.asarray(Image.open(io.BytesIO(canvas.encoded())), np.int16)
    assert np.abs(pixels[102, 64] - 178).max() < TOLERANCE
    assert np.abs(pixels[102, 192] - [76, 178, 178]).max() < TOLERANCE


def test_a_fine_tile_takes_the_tone_of_the_first_fill() -> None:
    size = (1000, 800)
    mask = Image.new("L", size)
    mask.paste(255, (100, 100, 900, 700))
    params = Params(dilate=0, feather=0)
    photo = encoded(Image.new("RGB", size, (200, 100, 50)))
    retouch = prepare(photo, encoded(mask), params, model_size=MODEL_SIZE, max_pixels=50_000_000)
    fills = np.stack([crop.image for crop in retouch.crops])
    canvas = PreviewCanvas(retouch, color_match=True)
    canvas.refine(refine(retouch, fills, params).crops)
    for crop in range(len(retouch.crops), len(retouch.boxes)):
        canvas.paint(crop, MAGENTA)
    pixels = np.asarray(Image.open(io.BytesIO(canvas.encoded())), np.int16)
    assert np.abs(pixels[40:160, 40:200] - [200, 100, 50]).max() < TOLERANCE


def test_what_is_right_in_the_latents_is_right_in_the_picture() -> None:
    size = (192, 192)
    colors = -np.ones((3, CELLS, CELLS), np.float32)
    colors[0, :, CELLS // 2 :] = 1  # red at the right, black at the left
    pixels = np.asarray(painted(retouch_of(encoded(ramp(size)), size), colors), np.int16)
    assert pixels[96, 72, 0] < 60 < 200 < pixels[96, 120, 0]


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "I;16"])
def test_every_kind_of_photo_has_one(mode: str) -> None:
    size = (96, 80)
    photo = ramp(size)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    else:
        image = photo.convert(mode)
    data = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
    preview = painted(retouch_of(data, size))
    assert (preview.size, preview.mode) == (size, "RGB")
    left, right = (
        np.asarray(preview, np.int16)[:, columns].mean() for columns in (slice(0, 8), slice(88, 96))
    )
    assert right - left > 90


def test_transparent_parts_are_white() -> None:
    size = (96, 80)
    image = ramp(size).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 24, 24))
    pixels = np.asarray(painted(retouch_of(encoded(image), size)), np.int16)
    assert pixels[8, 8].min() > 255 - TOLERANCE


def test_it_is_turned_as_the_photo_is_displayed() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = encoded(ramp((96, 80)), "JPEG", exif=exif, quality=95)
    preview = painted(retouch_of(turned, (80, 96)))
    assert preview.size == (80, 96)
    pixels = np.asarray(preview, np.int16)
    assert pixels[90].mean() - pixels[5].mean() > 90  # the photo's right is below


def test_it_stays_small_whatever_the_photo() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    retouch = retouch_of(encoded(Image.fromarray(noise)), (1024, 1024))
    canvas = PreviewCanvas(retouch, color_match=False)
    photo = np.asarray(Image.fromarray(noise).crop((0, 0, 256, 256)), np.float32)  # not averaged
    canvas._thumbnail = replace(canvas._thumbnail, photo=photo)
    assert len(canvas.encoded()) < 1.5 * MOST_BYTES


def test_colours_that_are_off_all_over_are_moved_to_those_of_the_photo() -> None:
    size = (96, 80)
    retouch = retouch_of(encoded(Image.new("RGB", size, (200, 100, 50))), size)
    canvas = PreviewCanvas(retouch, color_match=True)
    canvas.paint(0, MAGENTA)
    pixels = np.asarray(Image.open(io.BytesIO(canvas.encoded())), np.int16)
    assert np.abs(pixels[40, 48] - [200, 100, 50]).max() < TOLERANCE
