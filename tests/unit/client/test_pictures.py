"""Pictures in memory become files that lose nothing; what can't be sent is refused in words."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from moebius_client import InvalidInput
from moebius_client.pictures import picture_bytes

LEVELS = np.arange(60, dtype=np.uint8)


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("shape", [(6, 10), (5, 4, 3), (5, 3, 4)])
def test_an_array_becomes_a_png_of_the_same_pixels(shape: tuple[int, ...]) -> None:
    array = LEVELS.reshape(shape)
    image = decoded(picture_bytes(array, "image"))
    assert image.format == "PNG"
    assert np.array_equal(np.asarray(image), array)


def test_a_view_of_an_array_is_taken_as_it_looks() -> None:
    array = LEVELS.reshape(6, 10)[::-1, ::2]
    assert np.array_equal(np.asarray(decoded(picture_bytes(array, "image"))), array)


def test_one_channel_more_or_less_is_the_same_gray() -> None:
    assert decoded(picture_bytes(LEVELS.reshape(6, 10, 1), "image")).mode == "L"


def test_a_mask_of_bool_is_white_where_it_is_true() -> None:
    flags = LEVELS.reshape(6, 10) > 20
    assert np.array_equal(np.asarray(decoded(picture_bytes(flags, "mask"))) == 255, flags)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_a_pil_image_keeps_its_mode_and_pixels(mode: str) -> None:
    image = Image.new(mode, (7, 5))
    kept = decoded(picture_bytes(image, "image"))
    assert (kept.mode, kept.tobytes()) == (mode, image.tobytes())


def test_a_pil_image_keeps_exif_profile_and_density() -> None:
    image = Image.new("RGB", (7, 5))
    image.getexif()[0x0112] = 6
    image.info |= {"icc_profile": b"a profile", "dpi": (300, 300)}
    kept = decoded(picture_bytes(image, "image"))
    assert kept.getexif()[0x0112] == 6
    assert kept.info["icc_profile"] == b"a profile"
    assert round(kept.info["dpi"][0]) == 300


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (LEVELS.reshape(6, 10).astype(np.float32), "array of float32, but must be uint8"),
        (LEVELS.reshape(6, 10) > 3, "array of bool, but must be uint8"),
        (LEVELS.reshape(6, 5, 2), r"shape \(6, 5, 2\), but must be \[H, W\]"),
        (LEVELS[:0].reshape(0, 5), "no pixels"),
        (io.StringIO("text"), "opened as text. Open it with mode 'rb'"),
        (Image.new("F", (3, 3)), "mode F; allowed are"),
        (7, "of type int, but must be a path"),
    ],
)
def test_what_can_not_be_sent_says_what_can(picture: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        picture_bytes(picture, "image")
