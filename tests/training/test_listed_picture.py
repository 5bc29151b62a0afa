"""One entry of a list: upright RGB, and a clear reason when it can't be used."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.picture_files import (
    HEIGHT,
    WIDTH,
    encoded,
    grey,
    square_mask,
    truncated_jpeg,
    write_files,
)
from training.categories import BACKGROUND, FOREGROUND
from training.listed_picture import PictureError, decode_mask, decode_picture
from training.picture_folder import PictureFolder


def half_and_half() -> Image.Image:
    """Red above, blue below."""
    pixels = np.zeros((40, 20, 3), np.uint8)
    pixels[:20], pixels[20:] = (255, 0, 0), (0, 0, 255)
    return Image.fromarray(pixels)


def test_a_picture_that_was_taken_sideways_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it
    turned = encoded(half_and_half(), "JPEG", exif=exif, quality=95, subsampling=0)
    pixels = decode_picture(turned)
    assert pixels.shape == (20, 40, 3)
    assert pixels[10, 5, 2] > 200  # blue is on the left
    assert pixels[10, 35, 0] > 200
    assert decode_mask(turned).shape == (20, 40)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_a_picture_of_any_mode_becomes_rgb(mode: str) -> None:
    form = "TIFF" if mode == "CMYK" else "PNG"
    pixels = decode_picture(encoded(Image.new("RGB", (8, 6), "white").convert(mode), form))
    assert pixels.shape == (6, 8, 3)
    assert pixels.dtype == np.uint8
    assert (pixels > 250).all()


def test_a_palette_with_transparency_is_read_without_a_warning() -> None:
    picture = Image.new("P", (8, 6))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    data = encoded(picture, transparency=b"\x80\xff")
    assert decode_picture(data)[0, 0].tolist() == [10, 20, 30]


def test_a_mask_is_what_is_brighter_than_mid_grey() -> None:
    levels = np.array([[0, 127, 128, 255]], np.uint8)
    assert decode_mask(encoded(Image.fromarray(levels))).tolist() == [[False, False, True, True]]


def jpeg_of_a_broken_exif() -> bytes:
    """A whole JPEG whose EXIF, orientation 6 in it, has a text where the width belongs: it can't be written anew."""
    width_as_text = struct.pack("<HHI4s", 0x0100, 2, 4, b"abc")
    turned = struct.pack("<HHI4s", 0x0112, 3, 1, b"\6")
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + width_as_text + turned + bytes(4)
    return encoded(Image.new("RGB", (WIDTH, HEIGHT)), "JPEG", exif=exif)


def folder(tmp_path: Path, picture: bytes, mask: bytes | None, category: int = BACKGROUND) -> PictureFolder:
    write_files(tmp_path, {"pictures/a.png": picture, "masks/other.png": square_mask()})
    if mask is not None:
        write_files(tmp_path, {"masks/a.png": mask})
    return PictureFolder(tmp_path / "pictures", masks=tmp_path / "masks", category=category)


def test_an_entry_has_its_picture_its_mask_and_its_category(tmp_path: Path) -> None:
    entry = folder(tmp_path, grey(7), square_mask(), FOREGROUND).read(0)
    assert entry.pixels.shape == (HEIGHT, WIDTH, 3)
    assert (entry.pixels == 7).all()
    assert entry.mask is not None
    assert entry.mask.sum() == 24 * 16
    assert entry.category == FOREGROUND


@pytest.mark.parametrize(
    ("picture", "mask", "category", "reason"),
    [
        (truncated_jpeg(), None, BACKGROUND, "truncated"),
        (b"no picture at all", None, BACKGROUND, "not a picture of a format"),
        (b"", None, BACKGROUND, "not a picture of a format"),
        (grey(7)[:60], None, BACKGROUND, "."),
        (jpeg_of_a_broken_exif(), None, BACKGROUND, "not an integer"),
        (grey(7), jpeg_of_a_broken_exif(), BACKGROUND, "mask: .*not an integer"),
        (grey(7), truncated_jpeg(), BACKGROUND, "mask: .*truncated"),
        (grey(7), square_mask((64, 64)), BACKGROUND, "the mask is 64 x 64 pixels, the picture 96 x 80"),
        (grey(7), None, FOREGROUND, "its mask is missing"),
        (grey(7), encoded(Image.new("L", (WIDTH, HEIGHT))), FOREGROUND, "its mask is empty"),
    ],
)
def test_an_entry_that_cannot_be_used_says_why(
    tmp_path: Path, picture: bytes, mask: bytes | None, category: int, reason: str
) -> None:
    with pytest.raises(PictureError, match=reason):
        folder(tmp_path, picture, mask, category).read(0)
