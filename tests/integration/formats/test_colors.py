"""Colour profiles and colour spaces: kept in the file, respected in the fill."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms, JpegImagePlugin

from tests.integration.edge.pictures import decode, encode
from tests.integration.formats.files import FLAGS, HOLE, SIZE, smooth
from tests.integration.formats.filling import Filled, changed
from tests.unit.imaging.pictures import flat, noise
from tests.unit.imaging.profiles import cmyk_profile, display_p3_profile, gray_profile, wide_rgb_profile

Fill = Callable[..., Filled]
PROFILES = {"Adobe RGB": wide_rgb_profile(), "Display P3": display_p3_profile()}
CENTRE = ((HOLE[0] + HOLE[2]) // 2, (HOLE[1] + HOLE[3]) // 2)


def pixel(image: Image.Image, place: tuple[int, int]) -> npt.NDArray[Any]:
    """Its channels."""
    return np.asarray(np.asarray(image)[place[1], place[0]])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("profile", PROFILES)
def test_the_profile_comes_back_with_the_picture(fill: Fill, profile: str, kind: str) -> None:
    filled = fill(encode(smooth(), kind, icc_profile=PROFILES[profile]))
    assert filled.image.info["icc_profile"] == PROFILES[profile]
    assert filled.image.format == kind


@pytest.mark.parametrize("profile", PROFILES)
def test_a_fill_has_the_colour_of_its_surroundings_in_the_pictures_own_numbers(
    fill: Fill, profile: str
) -> None:
    color = (120, 150, 100)
    filled = fill(encode(flat("RGB", color, *SIZE), icc_profile=PROFILES[profile]))
    np.testing.assert_allclose(pixel(filled.image, CENTRE), color, atol=4)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_model_sees_srgb_so_a_fill_can_have_its_colours_alone(fill: Fill, profile: str) -> None:
    """A green that sRGB does not have is the nearest that it has inside the hole, and stays itself outside."""
    icc = PROFILES[profile]
    filled = fill(encode(flat("RGB", (0, 255, 0), *SIZE), icc_profile=icc))
    own = ImageCms.ImageCmsProfile(BytesIO(icc))
    srgb = ImageCms.createProfile("sRGB")
    there = ImageCms.profileToProfile(flat("RGB", (0, 255, 0), 8, 8), own, srgb)
    assert there is not None
    back = ImageCms.profileToProfile(there, srgb, own)
    assert back is not None
    np.testing.assert_allclose(pixel(filled.image, CENTRE), pixel(back, (0, 0)), atol=6)
    assert filled.image.getpixel((0, 0)) == (0, 255, 0)


@pytest.mark.parametrize("profile", [None, cmyk_profile()], ids=["without a profile", "with one"])
def test_a_cmyk_jpeg_stays_cmyk_and_is_not_inverted(fill: Fill, profile: bytes | None) -> None:
    inks = smooth().convert("CMYK")
    source = encode(inks, "JPEG", quality=95, icc_profile=profile)
    assert b"Adobe" in source, "written as print programs do: inverted, with Adobe's marker"
    filled = fill(source)
    assert (filled.image.mode, b"Adobe" in filled.data) == ("CMYK", True)
    assert filled.image.info.get("icc_profile") == profile
    difference = np.abs(np.asarray(filled.image).astype(int) - np.asarray(decode(source)))
    assert difference[:8].max() <= 4
    assert difference[FLAGS].mean() < 128, "the fill was inverted"


def test_a_gray_profile_is_kept_and_the_fill_goes_on_in_its_tone(fill: Fill) -> None:
    icc = gray_profile(1.0)
    filled = fill(encode(flat("L", 64, *SIZE), icc_profile=icc))
    assert filled.image.info["icc_profile"] == icc
    assert filled.image.getpixel(CENTRE) == pytest.approx(64, abs=3)


def test_a_jpeg_keeps_its_tables_its_subsampling_and_its_kind(fill: Fill) -> None:
    source = encode(smooth(), "JPEG", quality=77, subsampling=1, progressive=True)
    before, after = decode(source), fill(source).image
    assert isinstance(before, JpegImagePlugin.JpegImageFile)
    assert isinstance(after, JpegImagePlugin.JpegImageFile)
    assert after.quantization == before.quantization
    assert JpegImagePlugin.get_sampling(after) == JpegImagePlugin.get_sampling(before) == 1
    assert after.info.get("progressive")


def test_a_lossy_webp_stays_lossy(fill: Fill) -> None:
    filled = fill(encode(smooth(), "WEBP", quality=80))
    assert b"VP8 " in filled.data
    assert filled.image.format == "WEBP"


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_avif_comes_back_as_one_nearly_the_same_and_the_answer_says_that_it_is_lossy(
    fill: Fill, mode: str
) -> None:
    image = smooth().convert("RGB")
    if mode == "RGBA":
        image.putalpha(200)
    source = encode(image, "AVIF", quality=95, subsampling="4:4:4")
    filled = fill(source)
    before, after = decode(source), filled.image
    assert (after.format, after.mode, after.size) == ("AVIF", mode, SIZE)
    difference = np.abs(np.asarray(after).astype(int) - np.asarray(before))
    assert difference[:8].max() <= 4
    assert "AVIF" in filled.notes


@pytest.mark.parametrize("name", ["RGB", "RGBA"])
def test_sixteen_bit_colours_are_refused_rather_than_narrowed(fill: Fill, name: str) -> None:
    from tests.unit.imaging.test_decode import png

    channels = len(name)
    deep = png(*SIZE, 16, {3: 2, 4: 6}[channels], bytes((1 + 2 * channels * SIZE[0]) * SIZE[1]))
    status, code, detail = fill(deep).refusal
    assert (status, code) == (422, "unsupported_picture")
    assert "8 bits a channel, or 16-bit gray" in detail


def test_noise_in_a_wide_profile_is_the_same_outside_the_mask(fill: Fill) -> None:
    image = noise("RGB", *SIZE)
    filled = fill(encode(image, icc_profile=wide_rgb_profile()))
    assert not (changed(image, filled.image) & ~FLAGS).any()
