"""What is refused, with which code and words, and what a decoded picture keeps."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.errors import InpaintError, InvalidPicture
from service.imaging.decode import decode_picture, inspect_picture
from tests.unit.imaging.pictures import MAX_PIXELS, MODES, encoded, flat, noise

PNG_START = b"\x89PNG\r\n\x1a\n"
# 16 x 16 pixels of one colour with 10 bits a channel, by avifenc 0.11: Pillow writes no more than 8.
DEEP_AVIF = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAADybWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAAAAAA"
    "AAAAAGxpYmF2aWYAAAAADnBpdG0AAAAAAAEAAAAeaWxvYwAAAABEAAABAAEAAAABAAABGgAAAB4AAAAoaWluZgAAAAAAAQAA"
    "ABppbmZlAgAAAAABAABhdjAxQ29sb3IAAAAAamlwcnAAAABLaXBjbwAAABRpc3BlAAAAAAAAABAAAAAQAAAAEHBpeGkAAAAA"
    "AwoKCgAAAAxhdjFDgQBMAAAAABNjb2xybmNseAABAA0ABoAAAAAXaXBtYQAAAAAAAAABAAEEAQKDBAAAACZtZGF0EgAKCRgM"
    "/9igIaDQgDIPF4AMMMMEAAB1lSOw0F4W"
)


def png(width: int, height: int, depth: int, color_type: int, rows: bytes = b"") -> bytes:
    """A PNG file written by hand, for what Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return PNG_START + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_tiff() -> bytes:
    """8 x 8 pixels of 16-bit RGB."""
    tags = [
        (256, 3, 1, 8),
        (257, 3, 1, 8),
        (258, 3, 3, 122),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 128),
    ]
    tags += [(277, 3, 1, 3), (278, 3, 1, 8), (279, 4, 1, 384)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<HHH", 16, 16, 16) + bytes(384)


def animated(picture_format: str) -> bytes:
    frames = [noise("RGB", 16, 16, seed) for seed in range(3)]
    return encoded(frames[0], picture_format, save_all=True, append_images=frames[1:])


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


REFUSED: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "no bytes": (lambda: b"", "not_an_image", "0 bytes"),
    "text": (lambda: b"hello, this is no picture", "not_an_image", "PNG, JPEG"),
    "a PDF": (lambda: b"%PDF-1.7\n" + bytes(200), "not_an_image", "PNG, JPEG"),
    "a format that is not on the list": (lambda: encoded(flat("RGB", 0), "TGA"), "not_an_image", "PNG, JPEG"),
    "a bomb": (lambda: png(60_000, 60_000, 8, 2), "too_many_pixels", "3,600,000,000"),
    "just too many pixels": (lambda: png(5_001, 10_000, 8, 2), "too_many_pixels", "50,000,000"),
    "a width of 0": (lambda: png(0, 20, 8, 2), "picture_too_small", "at least 8"),
    "a side of 7": (lambda: encoded(flat("RGB", 0, 7, 100)), "picture_too_small", "7 x 100"),
    "an animated GIF": (lambda: animated("GIF"), "animated_image", "one frame"),
    "an animated PNG": (lambda: animated("PNG"), "animated_image", "one frame"),
    "an animated WebP": (lambda: animated("WEBP"), "animated_image", "one frame"),
    "a TIFF of several pages": (lambda: animated("TIFF"), "animated_image", "page"),
    "16-bit RGB in PNG": (lambda: png(8, 8, 16, 2, bytes(49 * 8)), "unsupported_picture", "8 bits"),
    "16-bit RGBA in PNG": (lambda: png(8, 8, 16, 6, bytes(65 * 8)), "unsupported_picture", "8 bits"),
    "16-bit gray with alpha": (lambda: png(8, 8, 16, 4, bytes(33 * 8)), "unsupported_picture", "8 bits"),
    "16-bit RGB in TIFF": (deep_tiff, "unsupported_picture", "8 bits"),
    "16-bit RGB in PPM": (lambda: b"P6 8 8 65535\n" + bytes(384), "unsupported_picture", "8 bits"),
    "10-bit AVIF": (lambda: DEEP_AVIF, "unsupported_picture", "8 bits"),
    "floating point pixels": (
        lambda: encoded(Image.new("F", (16, 16)), "TIFF"),
        "unsupported_picture",
        "mode F",
    ),
    "CMYK with a broken profile": (
        lambda: encoded(noise("CMYK", 16, 16), "JPEG", icc_profile=b"broken" * 40),
        "invalid_color_profile",
        "as RGB",
    ),
    "a damaged PNG header": (lambda: PNG_START + b"\1" * 40, "truncated_image", "PNG"),
    "ten bytes of JPEG": (lambda: encoded(flat("RGB", 0), "JPEG")[:10], "truncated_image", "JPEG"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_picture_is_refused_by_its_header(case: str) -> None:
    make, code, words = REFUSED[case]
    with pytest.raises(InvalidPicture) as caught:
        inspect_picture(make(), max_bytes=2**25, max_pixels=MAX_PIXELS)
    assert (caught.value.code, words in caught.value.detail) == (code, True), caught.value.detail


@pytest.mark.parametrize("case", REFUSED)
def test_decoding_refuses_what_the_header_check_refuses(case: str) -> None:
    make, code, _ = REFUSED[case]
    with pytest.raises(InvalidPicture) as caught:
        decode_picture(make(), max_pixels=MAX_PIXELS)
    assert caught.value.code == code


def test_too_many_bytes_are_refused_with_both_numbers() -> None:
    with pytest.raises(InvalidPicture) as caught:
        inspect_picture(bytes(1_001), max_bytes=1_000, max_pixels=MAX_PIXELS)
    assert caught.value.code == "payload_too_large"
    assert "1,001" in caught.value.detail
    assert "1,000" in caught.value.detail


@pytest.mark.parametrize("picture_format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF"])
def test_a_truncated_picture_is_refused(picture_format: str) -> None:
    data = half(encoded(noise("RGB", 200, 200), picture_format))
    with pytest.raises(InvalidPicture) as caught:
        decode_picture(data, max_pixels=MAX_PIXELS)
    assert caught.value.code == "truncated_image"
    assert "complete file" in caught.value.detail


FORMATS_OF_MODES = [
    *(("PNG", mode) for mode in MODES if mode != "CMYK"),
    *(("TIFF", mode) for mode in MODES),
    *(("BMP", mode) for mode in ("1", "L", "P", "RGB")),
    ("GIF", "P"),
    *(("PPM", mode) for mode in ("1", "L", "RGB", "I;16")),
    ("WEBP", "RGB"),
    ("WEBP", "RGBA"),
]


@pytest.mark.parametrize(("picture_format", "mode"), FORMATS_OF_MODES)
def test_pixels_are_kept_as_stored(picture_format: str, mode: str) -> None:
    image = noise(mode, 33, 21)
    options = {"lossless": True, "exact": True} if picture_format == "WEBP" else {}
    picture = decode_picture(encoded(image, picture_format, **options), max_pixels=MAX_PIXELS)
    assert (picture.mode, picture.size) == (mode, (33, 21))
    np.testing.assert_array_equal(picture.pixels, np.asarray(image))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_header_and_the_pixels_agree_on_the_display_size(picture_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(flat("RGB", 0, 40, 24), picture_format, exif=exif)
    header = inspect_picture(data, max_bytes=2**25, max_pixels=MAX_PIXELS)
    expected = (24, 40) if orientation >= 5 else (40, 24)
    assert (header.width, header.height) == expected
    assert decode_picture(data, max_pixels=MAX_PIXELS).size == expected


def test_the_header_tells_format_type_and_mode() -> None:
    header = inspect_picture(encoded(noise("P", 20, 10)), max_bytes=2**25, max_pixels=MAX_PIXELS)
    assert (header.format, header.content_type, header.mode) == ("PNG", "image/png", "P")


def test_big_pictures_open_without_a_warning_if_they_are_allowed() -> None:
    header = inspect_picture(png(20_000, 10_000, 8, 0), max_bytes=2**25, max_pixels=300_000_000)
    assert header.width == 20_000


def test_a_stereo_jpeg_is_read_as_its_first_picture() -> None:
    frames = [noise("RGB", 32, 32, seed) for seed in range(2)]
    data = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    picture = decode_picture(data, max_pixels=MAX_PIXELS)
    assert picture.format == "JPEG"
    assert "only the first is kept" in picture.notes[0]


SEEDS = [
    encoded(noise("RGB", 24, 24), picture_format) for picture_format in ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
] + [encoded(noise("P", 24, 24), "GIF"), b"P6 8 8 255\n" + bytes(192)]


def refusal_of(call: Callable[[], object]) -> str | None:
    """The code that a call is refused with; any other exception is a failure."""
    try:
        call()
    except InpaintError as error:
        return error.code
    return None


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_hostile_bytes_are_refused_in_our_own_words(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, min(len(damaged) - 1, 200)))] = data.draw(st.integers(0, 255))
    for refusal in (
        refusal_of(lambda: inspect_picture(bytes(damaged), max_bytes=2**25, max_pixels=10**6)),
        refusal_of(lambda: decode_picture(bytes(damaged), max_pixels=10**6)),
    ):
        assert refusal in {
            None,
            "not_an_image",
            "truncated_image",
            "too_many_pixels",
            "picture_too_small",
            "animated_image",
            "unsupported_picture",
            "invalid_color_profile",
        }
