"""What a file carries beside its pixels: orientation, EXIF, density, profile and the encoder's settings."""

from __future__ import annotations

import math
from typing import Any

from PIL import ExifTags, Image, JpegImagePlugin, PngImagePlugin

from service.imaging.picture import Metadata
from service.imaging.xmp import still_true

ORIENTATION = ExifTags.Base.Orientation
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DESCRIPTIVE_TAGS = frozenset(
    {
        ExifTags.Base.ImageDescription,
        ExifTags.Base.Make,
        ExifTags.Base.Model,
        ExifTags.Base.Software,
        ExifTags.Base.DateTime,
        ExifTags.Base.Artist,
        ExifTags.Base.Copyright,
    }
)
IPTC = 0x0404  # Photoshop's image resource of that name
PNG_XMP = "XML:com.adobe.xmp"
RAW_PROFILE = "Raw profile type "  # text by which ImageMagick once kept EXIF and others in PNG files
LOSSLESS_TIFF = frozenset(
    {"raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "group3", "group4", "zstd", "lzma"}
)


def display_size(image: Image.Image, data: bytes) -> tuple[int, int]:
    """Width and height as displayed, from the header where the format allows it."""
    if image.format == "TIFF":
        return image.size  # Pillow turns TIFF files itself
    if image.format == "PNG" and not _mentions_exif(image, data):
        return image.size  # getexif() would decode the picture to look behind the pixels
    width, height = image.size
    return (height, width) if _orientation(image) >= 5 else (width, height)


def upright(image: Image.Image) -> Image.Image:
    """The decoded picture turned as its EXIF orientation says."""
    turn = TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def read(image: Image.Image, data: bytes) -> tuple[Metadata, tuple[str, ...]]:
    """Metadata of a decoded picture, and notes on what of it could not be kept.

    Sets the orientation in `image` to 1: turn it first.
    """
    info = image.info
    exif, notes = _exif(image)
    xmp, lost = _xmp(info)
    notes += lost
    if "mp" in info or getattr(image, "mpo", None):
        notes += ("The file holds further pictures behind the first; only the first is kept.",)
    if IPTC in info.get("photoshop", ()):
        notes += ("The IPTC data was left out.",)
    transparency = info.get("transparency") if image.mode != "P" else None
    jpeg = image if isinstance(image, JpegImagePlugin.JpegImageFile) else None
    described = Metadata(
        icc=info.get("icc_profile") or None,
        exif=exif,
        xmp=xmp,
        texts=_texts(image),
        density=_density(info),
        comment=_comment(info),
        transparency=transparency if isinstance(transparency, int | tuple) else None,
        tables=_tables(jpeg) if jpeg else None,
        subsampling=JpegImagePlugin.get_sampling(jpeg) if jpeg else -1,
        progressive=bool(info.get("progressive")),
        compression=info.get("compression") if info.get("compression") in LOSSLESS_TIFF else None,
        lossless=_is_lossless(image, data),
    )
    return described, notes


def _tables(jpeg: JpegImagePlugin.JpegImageFile) -> dict[int, list[int]] | None:
    """The quantization tables if they are numbered as an encoder takes them: from 0 without a gap."""
    tables = dict(jpeg.quantization)
    return tables if sorted(tables) == list(range(len(tables))) and tables else None


def _mentions_exif(image: Image.Image, data: bytes) -> bool:
    return "exif" in image.info or RAW_PROFILE + "exif" in image.info or b"eXIf" in data


def _orientation(image: Image.Image) -> int:
    """1 to 8; damaged EXIF counts as upright, as in every viewer, and so does a picture that XMP alone would turn."""
    try:
        value = _own_exif(image).get(ORIENTATION, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and value in TURNS else 1


def _own_exif(image: Image.Image) -> Image.Exif:
    """As the file has it: Pillow's getexif() takes a missing orientation from XMP."""
    if image.format == "TIFF" or RAW_PROFILE + "exif" in image.info:
        return image.getexif()
    exif = Image.Exif()
    exif.load(image.info.get("exif") or b"")
    return exif


def _exif(image: Image.Image) -> tuple[bytes | None, tuple[str, ...]]:
    """EXIF to write back: unchanged bytes where nothing in them is stale, else rewritten upright.

    An embedded thumbnail is left out: it still shows what was removed from the photo.
    """
    raw = image.info.get("exif")
    if image.format != "TIFF" and not raw and RAW_PROFILE + "exif" not in image.info:
        return None, ()
    try:
        exif = image.getexif() if image.format != "TIFF" else _descriptive(image.getexif())
        if raw and exif.get(ORIENTATION, 1) == 1 and not _has_thumbnail(raw):
            return bytes(raw), ()
        if ORIENTATION in exif:
            exif[ORIENTATION] = 1
        return exif.tobytes(), ()
    except Exception:
        return None, ("The EXIF data is damaged and was left out.",)


def _xmp(info: dict[Any, Any]) -> tuple[bytes | None, tuple[str, ...]]:
    packet = info.get("xmp")
    if not isinstance(packet, bytes) or not packet:
        return None, ()
    kept = still_true(packet)
    return kept, () if kept else ("The XMP data can't be kept as it is and was left out.",)


def _texts(image: Image.Image) -> tuple[tuple[str, str], ...]:
    """Text of a PNG, but for what is read from it as EXIF, XMP or a profile."""
    if not isinstance(image, PngImagePlugin.PngImageFile):
        return ()
    return tuple(
        (key, value)
        for key, value in image.text.items()
        if key != PNG_XMP and not key.startswith(RAW_PROFILE)
    )


def _has_thumbnail(raw: bytes) -> bool:
    """Looked up in a copy: an Exif object that has read its thumbnail's directory writes it back,
    misplaced.
    """
    exif = Image.Exif()
    exif.load(raw)
    return bool(exif.get_ifd(ExifTags.IFD.IFD1))


def _descriptive(tags: Image.Exif) -> Image.Exif:
    """What describes a TIFF's content; its other tags say how the source file was laid out."""
    exif = Image.Exif()
    for tag in DESCRIPTIVE_TAGS & set(tags):
        exif[tag] = tags[tag]
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if entries := tags.get_ifd(directory):
            exif.get_ifd(directory).update(entries)
    return exif


def _density(info: dict[Any, Any]) -> tuple[float, float] | None:
    value = info.get("dpi")
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    try:
        across, down = float(value[0]), float(value[1])
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if all(math.isfinite(v) and 0 < v < 65_536 for v in (across, down)) else None


def _comment(info: dict[Any, Any]) -> bytes | None:
    comment = info.get("comment")
    return comment if isinstance(comment, bytes) and len(comment) < 65_533 else None


def _is_lossless(image: Image.Image, data: bytes) -> bool:
    if image.format == "WEBP":
        return _webp_is_lossless(data)
    if image.format == "TIFF":
        return image.info.get("compression") in LOSSLESS_TIFF
    return image.format not in ("JPEG", "AVIF")


def _webp_is_lossless(data: bytes) -> bool:
    """Whether the first image chunk of a WebP container (RFC 9649) is VP8L."""
    position = 12
    while position + 8 <= len(data):
        name = data[position : position + 4]
        if name in (b"VP8L", b"VP8 "):
            return name == b"VP8L"
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + length + length % 2
    return False
