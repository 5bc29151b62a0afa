"""What a file says beside its pixels: all of it is kept, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngImageFile, PngInfo

from tests.integration.edge.pictures import encode
from tests.integration.formats.files import AUTHOR, FLAGS, SIZE, XMP, described, exif_of, smooth
from tests.integration.formats.filling import Filled
from tests.unit.imaging.pictures import flat
from tests.unit.imaging.profiles import cmyk_profile, wide_rgb_profile

Fill = Callable[..., Filled]
HOLDERS = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"]


def source_of(kind: str) -> bytes:
    if kind != "PNG":
        return described(kind)
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    text.add_text("Author", AUTHOR)
    text.add_itxt("Title", "S\u00f8ster", "nb", "Tittel")
    return described("PNG", pnginfo=text)


@pytest.mark.parametrize("kind", HOLDERS)
def test_exif_gps_xmp_profile_and_density_are_kept(fill: Fill, kind: str) -> None:
    image = fill(source_of(kind)).image
    exif = image.getexif()
    assert exif[ExifTags.Base.Artist] == AUTHOR
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 400
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    assert image.info["icc_profile"] == wide_rgb_profile()
    if kind not in ("WEBP", "AVIF"):
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    packet = image.info["xmp"]
    assert AUTHOR.encode() in packet
    assert b'tiff:Orientation="1"' in packet, "the picture is upright now"


def test_the_text_of_a_png_is_kept_with_its_language(fill: Fill) -> None:
    filled = fill(source_of("PNG"))
    image = filled.image
    assert filled.data.count(b"XML:com.adobe.xmp") == 1, "the packet as it was would turn the picture again"
    assert isinstance(image, PngImageFile)
    assert image.text["Author"] == AUTHOR
    title = image.text["Title"]
    assert (title, getattr(title, "lang", None), getattr(title, "tkey", None)) == (
        "S\u00f8ster",
        "nb",
        "Tittel",
    )


def test_a_jpegs_and_a_gifs_comment_is_kept(fill: Fill) -> None:
    assert fill(encode(smooth(), "JPEG", comment=AUTHOR)).image.info["comment"] == AUTHOR.encode()
    gif = encode(smooth().quantize(64), "GIF", comment=AUTHOR.encode())
    assert fill(gif).image.info["comment"] == AUTHOR.encode()


@pytest.mark.parametrize("kind", [*HOLDERS, "JPEG with a comment", "GIF"])
def test_without_metadata_no_word_about_the_author_or_the_place_is_left(fill: Fill, kind: str) -> None:
    if kind == "GIF":
        source = encode(smooth().quantize(64), "GIF", comment=AUTHOR.encode())
    elif kind in HOLDERS:
        source = source_of(kind)
    else:
        source = encode(smooth(), "JPEG", comment=AUTHOR, exif=exif_of(), xmp=XMP)
    assert AUTHOR.encode() in source
    filled = fill(source, keep_metadata=False)
    for word in (AUTHOR.encode(), b"xmpmeta", b"Exif\0\0", b"eXIf", b"ICC_PROFILE", b"iCCP", b"ICCP"):
        assert word not in filled.data
    exif = filled.image.getexif()
    assert ExifTags.Base.Artist not in exif
    assert not exif.get_ifd(ExifTags.IFD.GPSInfo)
    assert "icc_profile" not in filled.image.info
    assert filled.image.info.get("dpi") != (300, 300)


def test_without_its_profile_a_picture_is_srgb_and_looks_the_same_and_says_so(fill: Fill) -> None:
    wide = ImageCms.ImageCmsProfile(BytesIO(wide_rgb_profile()))
    before = ImageCms.profileToProfile(smooth(), wide, ImageCms.createProfile("sRGB"))
    filled = fill(described("PNG"), keep_metadata=False)
    assert before is not None
    np.testing.assert_array_equal(np.asarray(filled.image)[~FLAGS], np.asarray(before)[~FLAGS])
    assert "sRGB" in filled.notes


def test_an_srgb_profile_goes_without_a_change_of_any_pixel(fill: Fill) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    filled = fill(encode(smooth(), icc_profile=icc), keep_metadata=False)
    assert "icc_profile" not in filled.image.info
    np.testing.assert_array_equal(np.asarray(filled.image)[~FLAGS], np.asarray(smooth())[~FLAGS])
    assert "sRGB" not in filled.notes


def test_cmyk_keeps_its_profile_without_which_it_means_nothing_and_says_so(fill: Fill) -> None:
    icc = cmyk_profile()
    filled = fill(encode(smooth().convert("CMYK"), "JPEG", icc_profile=icc), keep_metadata=False)
    assert filled.image.info["icc_profile"] == icc
    assert "profile was kept" in filled.notes


def test_no_thumbnail_that_still_shows_the_object_is_carried_along(fill: Fill) -> None:
    thumbnail = b"<xmp:Thumbnails><rdf:Alt><rdf:li xmpGImg:image='/9j/4AAQ'/></rdf:Alt></xmp:Thumbnails>"
    packet = XMP.replace(b"</rdf:RDF>", thumbnail + b"</rdf:RDF>")
    filled = fill(encode(smooth(), "JPEG", xmp=packet))
    assert AUTHOR.encode() in filled.image.info["xmp"]
    assert b"/9j/4AAQ" not in filled.data


def test_exif_that_imagemagick_kept_as_text_is_kept_as_exif_and_turned_once(fill: Fill) -> None:
    raw = exif_of(6)
    text = PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(raw):8}\n{raw.hex()}\n")
    stored = smooth().transpose(Image.Transpose.ROTATE_90)
    filled = fill(encode(stored, pnginfo=text))
    assert filled.image.size == SIZE
    assert filled.image.getexif()[ExifTags.Base.Orientation] == 1
    assert filled.image.getexif()[ExifTags.Base.Artist] == AUTHOR


def test_a_picture_of_another_format_takes_its_metadata_along(fill: Fill) -> None:
    image = fill(described("JPEG"), output_format="png").image
    assert AUTHOR.encode() in image.info["xmp"]
    assert image.getexif()[ExifTags.Base.Artist] == AUTHOR
    assert image.info["icc_profile"] == wide_rgb_profile()


def test_a_flat_picture_without_anything_gets_nothing(fill: Fill) -> None:
    image = fill(encode(flat("RGB", (9, 9, 9), *SIZE))).image
    assert not ({"icc_profile", "exif", "xmp", "dpi"} & set(image.info))
