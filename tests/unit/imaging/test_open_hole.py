"""Transparency that means "fill here" becomes an opaque hole; what needs no change comes back as it came."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.contracts import MaskPolarity, OutputFormat
from service.errors import EmptyMask, NotAnImage
from service.imaging.enlarge import LONGEST_SIDE, enlarged
from service.imaging.mask import decode_mask
from service.imaging.open_hole import with_open_hole
from tests.unit.imaging.profiles import wide_rgb_profile

SIZE = (40, 30)
HOLE = (slice(10, 20), slice(12, 28))
PROFILE = wide_rgb_profile()
MAX_PIXELS = 1_000_000


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def rubbed_out(mode: str) -> Image.Image:
    """A gradient with a transparent HOLE."""
    ramp = np.linspace(0, 255, SIZE[0]).astype(np.uint8)
    pixels = np.dstack([np.broadcast_to(ramp, (SIZE[1], SIZE[0]))] * 3 + [np.full((SIZE[1], SIZE[0]), 255)])
    pixels[(*HOLE, 3)] = 0
    return Image.fromarray(pixels.astype(np.uint8)).convert(mode)


def hole_of(mask: bytes) -> np.ndarray[Any, Any]:
    return decode_mask(mask, SIZE, MaskPolarity.TRANSPARENT, max_pixels=MAX_PIXELS)


@pytest.mark.parametrize(("mode", "becomes"), [("RGBA", "RGB"), ("LA", "L"), ("P", "RGB")])
def test_what_was_transparent_is_the_mask_and_opaque(mode: str, becomes: str) -> None:
    photo = rubbed_out(mode)
    image, mask = with_open_hole(encoded(photo), None, max_pixels=MAX_PIXELS)
    wanted = np.zeros((SIZE[1], SIZE[0]), np.bool_)
    wanted[HOLE] = True
    assert np.array_equal(hole_of(mask), wanted)
    opened = decoded(image)
    assert opened.mode == becomes
    before, after = (np.array(picture.convert("RGB")) for picture in (photo.convert("RGBA"), opened))
    assert np.array_equal(before[~wanted], after[~wanted])


def test_what_is_transparent_outside_of_the_mask_stays_so() -> None:
    photo = rubbed_out("RGBA")
    photo.putpixel((2, 2), (9, 9, 9, 40))
    mask = encoded(rubbed_out("RGBA"))
    image, same = with_open_hole(encoded(photo), mask, max_pixels=MAX_PIXELS)
    assert same == mask
    opened = decoded(image)
    assert opened.mode == "RGBA"
    alpha = np.array(opened)[..., 3]
    assert alpha[2, 2] == 40
    assert (alpha[HOLE] == 255).all()


def test_profile_and_density_stay_with_the_picture() -> None:
    photo = encoded(rubbed_out("RGBA"), icc_profile=PROFILE, dpi=(300, 300))
    opened = decoded(with_open_hole(photo, None, max_pixels=MAX_PIXELS)[0])
    assert opened.info["icc_profile"] == PROFILE
    assert round(opened.info["dpi"][0]) == 300


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photo_without_transparency_comes_back_as_it_came(kind: str) -> None:
    photo, mask = encoded(rubbed_out("RGB"), kind), encoded(rubbed_out("RGBA"))
    assert with_open_hole(photo, mask, max_pixels=MAX_PIXELS) == (photo, mask)


def test_without_mask_and_transparency_there_is_no_hole() -> None:
    for photo in (rubbed_out("RGB"), Image.new("RGBA", SIZE, "red")):
        with pytest.raises(EmptyMask, match="There is no mask"):
            with_open_hole(encoded(photo), None, max_pixels=MAX_PIXELS)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(NotAnImage):
        with_open_hole(b"GIF9", None, max_pixels=MAX_PIXELS)


@pytest.mark.parametrize("output_format", OutputFormat)
def test_a_preview_is_enlarged_to_the_picture_in_its_format(output_format: OutputFormat) -> None:
    large = decoded(enlarged(encoded(rubbed_out("RGB"), "JPEG"), (400, 300), output_format))
    assert (large.size, large.format) == ((400, 300), output_format.value.upper())


def test_a_preview_of_a_huge_picture_is_no_larger_than_it_need_be() -> None:
    large = decoded(enlarged(encoded(rubbed_out("RGB"), "JPEG"), (8000, 6000), OutputFormat.JPEG))
    assert large.size == (LONGEST_SIDE, LONGEST_SIDE * 3 // 4)
