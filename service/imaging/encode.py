"""Writing a picture: in its own format with its own settings, or in the format that was asked for."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from service.contracts import OutputFormat, Params
from service.errors import InvalidParameter
from service.imaging.bare import bare
from service.imaging.carried import fitting, metadata_options
from service.imaging.convert import COLOR_KEY_FORMATS, fitted
from service.imaging.formats import FORMATS
from service.imaging.picture import Metadata, Picture

DEFAULT_QUALITY = 95
LOSSY_AVIF = (
    "AVIF is written lossily, at quality {quality}: pixels outside the hole may change by a few levels."
)
PNG_LEVEL = 3  # three times as fast as zlib's default on a photo, for files up to a seventh larger


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """A file's bytes, its content type, and notes that tell the user what was changed on the way."""

    data: bytes
    content_type: str
    notes: tuple[str, ...]


def output_format(picture: Picture, asked: OutputFormat | None) -> str:
    """Name of the format to write: what was asked for, else the picture's own, else PNG where it can't hold
    it.

    Raises `InvalidParameter` if a side is longer than the format asked for allows.
    """
    if asked is None:
        return picture.format if picture.mode in FORMATS[picture.format].modes else "PNG"
    name = asked.value.upper()
    limit = FORMATS[name].max_side
    if max(picture.size) > limit:
        raise InvalidParameter(
            f"output_format {asked.value} allows sides of at most {limit:,} pixels, but the picture is "
            f"{picture.size[0]:,} x {picture.size[1]:,}. Ask for png."
        )
    return name


def encode_picture(picture: Picture, params: Params) -> EncodedPicture:
    """Encode with the picture's profile, EXIF, XMP, text, density and JPEG tables. With `keep_metadata` false all that
    is dropped but the tables, and the colours are converted to sRGB.

    Raises `InvalidParameter` if the format asked for can't hold the picture.
    """
    name = output_format(picture, params.output_format)
    if params.output_format is None and name != picture.format:
        note = f"{picture.format} is not written with {picture.mode} pixels here: the picture became {name}."
        picture = replace(picture, notes=(*picture.notes, note))
    picture = fitted(picture, name)
    picture = fitting(picture, name) if params.keep_metadata else bare(picture)
    if name == "AVIF":
        note = LOSSY_AVIF.format(quality=params.quality or DEFAULT_QUALITY)
        picture = replace(picture, notes=(*picture.notes, note))
    options = _pixel_options(picture, name, params.quality) | metadata_options(picture.metadata, name)
    buffer = io.BytesIO()
    _to_image(picture).save(buffer, name, **options)
    return EncodedPicture(buffer.getvalue(), FORMATS[name].content_type, picture.notes)


def _to_image(picture: Picture) -> Image.Image:
    pixels = np.ascontiguousarray(picture.pixels)
    if picture.mode not in ("P", "CMYK"):
        return Image.fromarray(pixels)
    image = Image.frombytes(picture.mode, picture.size, pixels.tobytes())
    if picture.palette is not None:
        image.putpalette(picture.palette[:, :3].tobytes())
    return image


def _pixel_options(picture: Picture, name: str, quality: int | None) -> dict[str, Any]:
    """What decides the pixels that a decoder will see."""
    options: dict[str, Any] = {}
    if name == "JPEG":
        options = _jpeg_options(picture.metadata, quality)
    elif name == "WEBP":
        lossless = quality is None and picture.metadata.lossless
        options = {"lossless": lossless, "exact": lossless} | ({} if lossless else _quality(quality))
    elif name == "AVIF":
        options = {"subsampling": "4:4:4", **_quality(quality)}
    elif name == "TIFF":
        options = {"compression": _tiff_compression(picture)}
    elif name == "PNG":
        options = {"compress_level": PNG_LEVEL}
    if name in COLOR_KEY_FORMATS:
        options |= _transparency(picture, name)
    return options


def _quality(quality: int | None) -> dict[str, Any]:
    return {"quality": DEFAULT_QUALITY if quality is None else quality}


def _jpeg_options(metadata: Metadata, quality: int | None) -> dict[str, Any]:
    """The source's tables and subsampling where it was a JPEG and no other quality is asked for; else
    4:4:4.
    """
    options: dict[str, Any] = {"progressive": metadata.progressive}
    if metadata.tables is None:
        return options | _quality(quality) | {"subsampling": 0}
    if metadata.subsampling >= 0:
        options["subsampling"] = metadata.subsampling
    return options | ({"qtables": metadata.tables} if quality is None else _quality(quality))


def _tiff_compression(picture: Picture) -> str:
    """The source's where it was lossless; none beside EXIF directories, which libtiff's compressors
    refuse.
    """
    exif = Image.Exif()
    exif.load(picture.metadata.exif or b"")
    if ExifTags.IFD.Exif in exif or ExifTags.IFD.GPSInfo in exif:
        return "raw"
    return picture.metadata.compression or "tiff_adobe_deflate"


def _transparency(picture: Picture, name: str) -> dict[str, Any]:
    """A colour key, the palette's alpha (PNG), or the first clear place of the palette (GIF)."""
    if picture.palette is None:
        key = picture.metadata.transparency
        return {} if key is None else {"transparency": key}
    alpha = picture.palette[:, 3]
    if alpha.min() == 255:
        return {}
    return {"transparency": alpha.tobytes() if name == "PNG" else int(np.argmin(alpha))}
