"""Colours: sRGB for the model, the picture's own profile for the paste, CMYK through its inks."""

from __future__ import annotations

import numpy as np
import pytest

from service.errors import InvalidColorProfile
from service.imaging.color import converter_for
from service.imaging.decode import decode_picture
from service.imaging.picture import Picture
from tests.unit.imaging.pictures import MAX_PIXELS, box_mask, decoded, encoded, flat, noise, retouched
from tests.unit.imaging.profiles import cmyk_profile, gray_profile, wide_rgb_profile

MASK = encoded(box_mask(96, 80, (30, 30, 60, 60)))
ORANGE = (0.6, 0.1, -0.5)  # sRGB 204, 140, 64


def picture_of(mode: str, icc: bytes | None) -> Picture:
    return decode_picture(encoded(noise(mode, 32, 32), "TIFF", icc_profile=icc), max_pixels=MAX_PIXELS)


@pytest.mark.parametrize("icc", [None, wide_rgb_profile()])
def test_rgb_comes_back_from_srgb_as_it_went(icc: bytes | None) -> None:
    picture = picture_of("RGB", icc)
    converter, _ = converter_for(picture)
    muted = (picture.pixels // 4 + 96).astype(np.uint8)  # inside both gamuts
    there = converter.to_srgb(muted)
    back = converter.from_srgb(np.float32(1 / 255) * there)
    assert np.abs(back.astype(int) - muted).max() <= 1


def test_a_gray_fill_goes_through_the_gray_profile() -> None:
    _, plain = retouched(encoded(flat("L", 50)), MASK, color=(0, 0, 0))
    _, linear = retouched(encoded(flat("L", 50), icc_profile=gray_profile(1.0)), MASK, color=(0, 0, 0))
    assert decoded(plain.data).getpixel((45, 45)) == 128
    assert decoded(linear.data).getpixel((45, 45)) == pytest.approx(55, abs=2)


def test_an_rgb_fill_goes_through_the_pictures_profile() -> None:
    _, done = retouched(encoded(flat("RGB", 50), icc_profile=wide_rgb_profile()), MASK, color=(-1, 1, -1))
    result = decoded(done.data)
    assert result.getpixel((45, 45)) == pytest.approx((144, 255, 60), abs=4)
    assert result.info["icc_profile"] == wide_rgb_profile()


def test_a_gray_fill_weighs_the_channels_by_luminance() -> None:
    _, done = retouched(encoded(flat("L", 50)), MASK, color=(1, -1, -1))
    assert decoded(done.data).getpixel((45, 45)) == 76


def test_cmyk_without_a_profile_is_filled_in_plain_inks() -> None:
    image = noise("CMYK", 96, 80)
    retouch, done = retouched(encoded(image, "TIFF"), MASK, color=ORANGE)
    result = decoded(done.data)
    assert result.mode == "CMYK"
    assert result.convert("RGB").getpixel((45, 45)) == pytest.approx((204, 140, 64), abs=1)
    outside = ~retouch.effective_mask
    np.testing.assert_array_equal(np.asarray(result)[outside], np.asarray(image)[outside])


def test_cmyk_is_filled_through_its_profile() -> None:
    image, icc = noise("CMYK", 96, 80), cmyk_profile()
    retouch, done = retouched(encoded(image, "TIFF", icc_profile=icc), MASK, color=ORANGE)
    result = decoded(done.data)
    assert result.info["icc_profile"] == icc
    outside = ~retouch.effective_mask
    np.testing.assert_array_equal(np.asarray(result)[outside], np.asarray(image)[outside])
    converter, _ = converter_for(picture_of("CMYK", icc))
    inks = np.asarray(result)[44:46, 44:46]
    assert inks[..., 3].max() == 0  # the profile's own black generation: none
    plain, _ = converter_for(picture_of("CMYK", None))
    assert not np.array_equal(converter.to_srgb(inks), plain.to_srgb(inks))


def test_cmyk_with_a_profile_for_other_pixels_is_refused() -> None:
    with pytest.raises(InvalidColorProfile, match="for RGB pixels"):
        picture_of("CMYK", wide_rgb_profile())


@pytest.mark.parametrize("icc", [b"broken" * 40, gray_profile(1.8)])
def test_an_rgb_picture_with_a_wrong_profile_is_taken_as_srgb_and_says_so(icc: bytes) -> None:
    _, done = retouched(encoded(flat("RGB", 50), icc_profile=icc), MASK, color=ORANGE)
    assert decoded(done.data).getpixel((45, 45)) == (204, 140, 64)
    assert decoded(done.data).info["icc_profile"] == icc
    assert any("profile" in note for note in done.notes)
