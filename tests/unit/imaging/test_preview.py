"""Previews: the whole photo made small, its hole in the colours of the latents, at most so many bytes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from service.contracts import Params
from service.imaging.preview import LONGEST_SIDE, MOST_BYTES, PreviewCanvas
from service.imaging.retouch import Retouch, prepare
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
    """The preview with the same colours in every crop."""
    canvas = PreviewCanvas(retouch, color_match=False)
    for crop in range(len(retouch.boxes)):
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


def test_a_crop_that_has_not_begun_shows_the_photo() -> None:
    size = (96, 80)
    canvas = PreviewCanvas(retouch_of(encoded(ramp(size)), size), color_match=False)
    pixels = np.asarray(Image.open(io.BytesIO(canvas.encoded())), np.int16)
    assert np.abs(pixels - np.asarray(ramp(size), np.int16)).max() < TOLERANCE


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
    canvas._photo = np.asarray(Image.fromarray(noise).crop((0, 0, 256, 256)), np.float32)  # not averaged
    assert len(canvas.encoded()) < 1.5 * MOST_BYTES


def test_colours_that_are_off_all_over_are_moved_to_those_of_the_photo() -> None:
    size = (96, 80)
    retouch = retouch_of(encoded(Image.new("RGB", size, (200, 100, 50))), size)
    canvas = PreviewCanvas(retouch, color_match=True)
    canvas.paint(0, MAGENTA)
    pixels = np.asarray(Image.open(io.BytesIO(canvas.encoded())), np.int16)
    assert np.abs(pixels[40, 48] - [200, 100, 50]).max() < TOLERANCE
