"""Output files: the input's format, settings and metadata, or what was asked for; every loss is said."""

from __future__ import annotations

import struct
from typing import Literal

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps, JpegImagePlugin
from PIL.PngImagePlugin import PngInfo

from service.contracts import OutputFormat, Params
from service.errors import InvalidParameter
from service.imaging.encode import EncodedPicture
from service.imaging.feather import dilated
from service.imaging.metadata import PNG_XMP
from service.imaging.retouch import Retouch
from tests.unit.imaging.pictures import box_mask, decoded, encoded, flat, noise, retouched
from tests.unit.imaging.profiles import cmyk_profile, gray_profile, wide_rgb_profile

MASK = encoded(box_mask(96, 80, (30, 30, 60, 60)))


def done_with(data: bytes, **fields: object) -> tuple[Retouch, EncodedPicture]:
    return retouched(data, MASK, Params.model_validate({"color_match": False, **fields}))


def exif_of(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Artist] = "Ada"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] = 400
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return exif.tobytes()


@pytest.mark.parametrize("picture_format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF"])
def test_the_output_has_the_inputs_format(picture_format: str) -> None:
    mode = "P" if picture_format == "GIF" else "RGB"
    _, done = done_with(encoded(noise(mode, 96, 80), picture_format))
    result = decoded(done.data)
    assert (result.format, result.mode, result.size) == (picture_format, mode, (96, 80))
    assert done.content_type == Image.MIME[picture_format]


@pytest.mark.parametrize("output", list(OutputFormat))
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_mode_can_be_asked_for_in_every_output_format(mode: str, output: OutputFormat) -> None:
    _, done = done_with(encoded(noise(mode, 96, 80), "TIFF"), output_format=output)
    result = decoded(done.data)
    assert (result.format, result.size) == (output.value.upper(), (96, 80))
    assert result.convert("RGB").getpixel((45, 45)) is not None
    lost = (mode == "I;16" and output != "png") or (mode in ("LA", "RGBA") and output == "jpeg")
    assert bool(done.notes) == lost


@pytest.mark.parametrize("output", ["png", "webp"])
def test_a_lossless_source_stays_exact_in_another_lossless_format(output: str) -> None:
    image = noise("RGBA", 96, 80)
    retouch, done = done_with(encoded(image, "TIFF"), output_format=output)
    outside = ~retouch.effective_mask
    np.testing.assert_array_equal(np.asarray(decoded(done.data))[outside], np.asarray(image)[outside])


def keyed_source() -> bytes:
    """An RGB picture that is clear where it has one colour."""
    image = noise("RGB", 96, 80)
    image.paste((1, 2, 3), (0, 0, 20, 20))
    return encoded(image, transparency=(1, 2, 3))


SHOWN_ALIKE = {
    **{mode: encoded(noise(mode, 96, 80), "TIFF") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")},
    "a palette with alpha": encoded(noise("P", 96, 80), transparency=bytes([0, 128])),
    "a transparent colour": keyed_source(),
}


@pytest.mark.parametrize("output", ["png", "webp"])
@pytest.mark.parametrize("name", SHOWN_ALIKE)
def test_another_lossless_format_shows_the_same_colours_and_the_same_transparency(
    name: str, output: str
) -> None:
    source = SHOWN_ALIKE[name]
    retouch, done = done_with(source, output_format=output)
    outside = ~retouch.effective_mask
    before, after = (np.asarray(decoded(data).convert("RGBA")) for data in (source, done.data))
    np.testing.assert_array_equal(after[outside], before[outside])


def test_black_and_white_stay_so_in_a_jpeg() -> None:
    image = flat("1", 0)
    image.paste(1, (48, 0, 96, 80))
    result = decoded(done_with(encoded(image), output_format="jpeg")[1].data).convert("L")
    assert result.getpixel((4, 4)) == pytest.approx(0, abs=4)
    assert result.getpixel((90, 4)) == pytest.approx(255, abs=4)


def test_deep_gray_is_brought_to_the_nearest_of_256_levels() -> None:
    image = noise("I;16", 96, 80)
    retouch, done = done_with(encoded(image), output_format="webp")
    outside = ~retouch.effective_mask
    exact = np.asarray(image)[outside] / 257
    assert np.abs(np.asarray(decoded(done.data))[..., 0][outside] - exact).max() <= 0.5


def test_jpeg_output_lays_transparency_over_white_and_says_so() -> None:
    image = flat("RGBA", (0, 0, 0, 255))
    image.paste((10, 20, 30, 0), (0, 0, 16, 16))
    _, done = done_with(encoded(image), output_format="jpeg")
    pixel = decoded(done.data).getpixel((4, 4))
    assert isinstance(pixel, tuple)
    assert min(pixel) > 250
    assert "white" in done.notes[0]


@pytest.mark.parametrize("options", [{"quality": 61}, {"quality": 88, "subsampling": 1, "progressive": True}])
def test_a_jpeg_keeps_its_tables_and_subsampling(options: dict[str, int]) -> None:
    source = encoded(noise("RGB", 96, 80), "JPEG", **options)
    _, done = done_with(source)
    before, after = decoded(source), decoded(done.data)
    assert isinstance(before, JpegImagePlugin.JpegImageFile)
    assert isinstance(after, JpegImagePlugin.JpegImageFile)
    assert after.quantization == before.quantization
    assert JpegImagePlugin.get_sampling(after) == JpegImagePlugin.get_sampling(before)
    assert after.info.get("progressive") == before.info.get("progressive")


def test_quality_replaces_a_jpegs_tables() -> None:
    source = encoded(noise("RGB", 96, 80), "JPEG", quality=90)
    assert len(done_with(source, quality=20)[1].data) < len(done_with(source)[1].data) / 2


def test_an_avif_keeps_colours_as_sharp_as_they_were() -> None:
    stripes = np.zeros((80, 96, 3), np.uint8)
    stripes[:, ::2, 0], stripes[:, 1::2, 2] = 200, 200
    source = encoded(Image.fromarray(stripes), "AVIF", quality=95, subsampling="4:4:4")
    retouch, done = done_with(source)
    far = ~dilated(retouch.effective_mask, 16)
    difference = np.asarray(decoded(done.data)).astype(int) - np.asarray(decoded(source))
    assert np.abs(difference[far]).mean() < 10


def test_a_quality_makes_a_lossy_webp_of_a_lossless_picture() -> None:
    source = encoded(noise("RGB", 96, 80))
    small, large = (done_with(source, output_format="webp", quality=each)[1].data for each in (10, 90))
    assert b"VP8 " in small
    assert len(small) < len(large) / 2


def test_a_lossless_webp_stays_lossless_and_a_lossy_one_lossy() -> None:
    image = noise("RGB", 96, 80)
    for lossless, chunk in ((True, b"VP8L"), (False, b"VP8 ")):
        _, done = done_with(encoded(image, "WEBP", lossless=lossless, exif=exif_of()))
        assert (b"VP8L" in done.data, chunk in done.data) == (lossless, True)


@pytest.mark.parametrize("picture_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_profile_exif_and_density_survive(picture_format: str) -> None:
    icc = wide_rgb_profile()
    source = encoded(noise("RGB", 96, 80), picture_format, icc_profile=icc, exif=exif_of(), dpi=(300, 300))
    result = decoded(done_with(source)[1].data)
    exif = result.getexif()
    assert result.info["icc_profile"] == icc
    assert exif[ExifTags.Base.Artist] == "Ada"
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 400
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    if picture_format != "WEBP":
        assert result.info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_a_density_that_differs_by_direction_is_not_turned() -> None:
    result = decoded(done_with(encoded(noise("RGB", 96, 80), "TIFF", dpi=(300, 150)))[1].data)
    assert result.info["dpi"] == pytest.approx((300, 150), abs=0.01)


@pytest.mark.parametrize("kind", ["EXIF", "XMP"])
def test_what_is_too_long_for_a_jpeg_is_left_out_and_the_answer_says_so(kind: str) -> None:
    exif, text = Image.Exif(), PngInfo()
    exif[ExifTags.Base.Artist] = "Ada" * (25_000 if kind == "EXIF" else 1)
    padding = " " * (66_000 if kind == "XMP" else 1)
    text.add_itxt(PNG_XMP, f"<x:xmpmeta><rdf:RDF></rdf:RDF></x:xmpmeta>{padding}")
    source = encoded(noise("RGB", 96, 80), exif=exif, pnginfo=text)
    _, done = done_with(source, output_format="jpeg")
    result = decoded(done.data)
    assert done.notes == (f"The {kind} data is longer than JPEG allows and was left out.",)
    assert (ExifTags.Base.Artist in result.getexif(), "xmp" in result.info) == (kind == "XMP", kind == "EXIF")
    assert done_with(source)[1].notes == (), "a PNG holds both"


def with_iptc(jpeg: bytes) -> bytes:
    """A JPEG with Photoshop's image resource of that name."""
    resource = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", 8) + b"\x1c\x02\x50\0\x03Ada"
    return jpeg[:2] + b"\xff\xed" + struct.pack(">H", 2 + len(resource)) + resource + jpeg[2:]


def test_what_can_not_be_kept_of_a_jpeg_is_left_out_and_the_answer_says_so() -> None:
    image = noise("RGB", 96, 80)
    before_it_was_edited = b"<x:xmpmeta><rdf:RDF GImage:Data='/9j/'></rdf:RDF></x:xmpmeta>"
    for source, told, left_out in (
        (with_iptc(encoded(image, "JPEG")), "IPTC", b"Photoshop"),
        (encoded(image, "JPEG", xmp=before_it_was_edited), "XMP", b"GImage"),
    ):
        _, done = done_with(source)
        assert left_out in source
        assert left_out not in done.data
        assert [told in note for note in done.notes] == [True]


def test_a_compressed_tiff_with_exif_can_be_written() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ada"
    source = encoded(noise("RGB", 96, 80), "TIFF", compression="tiff_lzw", exif=exif)
    result = decoded(done_with(source)[1].data)
    assert (result.info["compression"], result.getexif()[ExifTags.Base.Artist]) == ("tiff_lzw", "Ada")


@pytest.mark.parametrize("picture_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_metadata_and_profile_go_if_they_are_not_to_be_kept(picture_format: str) -> None:
    icc = wide_rgb_profile()
    source = encoded(noise("RGB", 96, 80), picture_format, icc_profile=icc, exif=exif_of(), dpi=(300, 300))
    result = decoded(done_with(source, keep_metadata=False)[1].data)
    assert ExifTags.Base.Artist not in result.getexif()
    assert not result.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    assert result.info.get("dpi", (72, 72)) != (300, 300)
    assert "icc_profile" not in result.info


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("picture_format", ["PNG", "TIFF"])
def test_a_turned_photo_comes_back_upright_and_says_so(picture_format: str, orientation: int) -> None:
    stored = noise("RGB", 80, 96) if orientation >= 5 else noise("RGB", 96, 80)
    source = encoded(stored, picture_format, exif=exif_of(orientation))
    retouch, done = done_with(source)
    result = decoded(done.data)
    assert result.getexif().get(ExifTags.Base.Orientation, 1) == 1
    assert result.getexif()[ExifTags.Base.Artist] == "Ada"
    upright = np.asarray(ImageOps.exif_transpose(decoded(source)))
    outside = ~retouch.effective_mask
    np.testing.assert_array_equal(np.asarray(result)[outside], upright[outside])


def test_the_exif_thumbnail_that_still_shows_the_object_is_dropped() -> None:
    thumbnail = encoded(flat("RGB", (255, 0, 0), 16, 16), "JPEG")
    entries = {0x0201: 0, 0x0202: len(thumbnail)}
    raw = bytearray(exif_of())
    tiff = raw[6:]
    order: Literal["big", "little"] = "big" if tiff[:2] == b"MM" else "little"
    first = int.from_bytes(tiff[4:8], order)
    end = first + 2 + 12 * int.from_bytes(tiff[first : first + 2], order)
    start = len(tiff)
    entries[0x0201] = start + 2 + 24 + 4
    tiff[end : end + 4] = start.to_bytes(4, order)
    tiff += (2).to_bytes(2, order)
    for tag, value in entries.items():
        tiff += (
            tag.to_bytes(2, order)
            + (4).to_bytes(2, order)
            + (1).to_bytes(4, order)
            + value.to_bytes(4, order)
        )
    tiff += bytes(4) + thumbnail
    source = encoded(noise("RGB", 96, 80), "JPEG", exif=bytes(raw[:6] + tiff))
    assert thumbnail in source
    _, done = done_with(source)
    assert thumbnail not in done.data
    assert decoded(done.data).getexif()[ExifTags.Base.Artist] == "Ada"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_exif_does_not_lose_the_photo() -> None:
    source = encoded(
        noise("RGB", 96, 80), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03" * 9
    )
    assert decoded(done_with(source)[1].data).size == (96, 80)


def test_cmyk_becomes_srgb_where_the_format_has_none() -> None:
    source = encoded(noise("CMYK", 96, 80), "TIFF", icc_profile=cmyk_profile())
    _, done = done_with(source, output_format="png")
    result = decoded(done.data)
    assert (result.mode, "icc_profile" in result.info) == ("RGB", False)
    assert "sRGB" in done.notes[0]


def test_gray_with_a_profile_becomes_srgb_where_the_format_has_no_gray() -> None:
    source = encoded(flat("L", 64), icc_profile=gray_profile(1.0))
    result = decoded(done_with(source, output_format="webp")[1].data)
    assert result.getpixel((0, 0)) == pytest.approx((137, 137, 137), abs=1)
    assert "icc_profile" not in result.info


@pytest.mark.parametrize(("mode", "key"), [("L", 200), ("RGB", (200, 100, 50))])
def test_a_color_key_stays_and_no_filled_pixel_becomes_transparent(
    mode: str, key: int | tuple[int, ...]
) -> None:
    image = flat(mode, 0)
    image.paste(key, (0, 0, 40, 80))
    image.paste(key, (48, 40, 52, 44))  # a clear island in the hole
    source = encoded(image, transparency=key)
    color = (
        200 / 127.5 - 1,
        (200 if mode == "L" else 100) / 127.5 - 1,
        (200 if mode == "L" else 50) / 127.5 - 1,
    )
    _, done = retouched(source, MASK, color=color)
    result, before = decoded(done.data), decoded(source)
    assert result.mode == mode
    np.testing.assert_array_equal(
        np.asarray(result.convert("RGBA"))[..., 3], np.asarray(before.convert("RGBA"))[..., 3]
    )
    assert not np.array_equal(np.asarray(result), np.asarray(before))


def test_a_bmp_with_alpha_becomes_png_and_says_so() -> None:
    header = struct.pack("<2sIII", b"BM", 122 + 256, 0, 122)
    header += struct.pack("<IiiHHIIiiII", 108, 8, 8, 1, 32, 3, 256, 0, 0, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0x00FF00, 0x0000FF, 0xFF000000) + bytes(52)
    mask = encoded(box_mask(8, 8, (2, 2, 5, 5)))
    _, done = retouched(
        header + bytes([10, 20, 30, 200]) * 64, mask, Params(dilate=0, feather=0, color_match=False)
    )
    result = decoded(done.data)
    assert (result.format, result.mode, result.getpixel((0, 0))) == ("PNG", "RGBA", (30, 20, 10, 200))
    assert "BMP" in done.notes[0]


@pytest.mark.parametrize(("output", "width"), [("webp", 16_384), ("jpeg", 65_501)])
def test_a_side_too_long_for_the_output_format_is_refused_before_any_work(output: str, width: int) -> None:
    source = encoded(flat("L", 0, width, 8))
    with pytest.raises(InvalidParameter, match="Ask for png"):
        retouched(source, encoded(flat("L", 255, width, 8)), Params(output_format=OutputFormat(output)))
