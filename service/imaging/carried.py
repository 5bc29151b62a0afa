"""What is written beside the pixels: the metadata that a format's files hold, as its writer takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from service.imaging.metadata import PNG_XMP
from service.imaging.picture import Metadata, Picture

LONGEST_JPEG_EXIF = 65_533
LONGEST_JPEG_XMP = 65_504
PROFILE_FORMATS = frozenset({"PNG", "JPEG", "WEBP", "TIFF", "AVIF"})
XMP_FORMATS = PROFILE_FORMATS
DENSITY_FORMATS = frozenset({"PNG", "JPEG", "TIFF", "BMP"})
COMMENT_FORMATS = frozenset({"JPEG", "GIF"})
TOO_LONG = "The {kind} data is longer than JPEG allows and was left out."


def fitting(picture: Picture, name: str) -> Picture:
    """The picture without metadata that is too long for the format, and a note of what that was."""
    metadata, notes = picture.metadata, picture.notes
    if name == "JPEG" and len(metadata.exif or b"") > LONGEST_JPEG_EXIF:
        metadata, notes = replace(metadata, exif=None), (*notes, TOO_LONG.format(kind="EXIF"))
    if name == "JPEG" and len(metadata.xmp or b"") > LONGEST_JPEG_XMP:
        metadata, notes = replace(metadata, xmp=None), (*notes, TOO_LONG.format(kind="XMP"))
    return replace(picture, metadata=metadata, notes=notes)


def metadata_options(metadata: Metadata, name: str) -> dict[str, Any]:
    """The options of Pillow's writer of a format."""
    options: dict[str, Any] = {}
    if name in PROFILE_FORMATS and metadata.icc:
        options["icc_profile"] = metadata.icc
    if name in PROFILE_FORMATS and metadata.exif:
        options["exif"] = metadata.exif
    if name in DENSITY_FORMATS and metadata.density:
        options["dpi"] = metadata.density
    if name in COMMENT_FORMATS and metadata.comment:
        options["comment"] = metadata.comment
    if name == "PNG":
        options["pnginfo"] = _png_text(metadata)
    elif name == "TIFF" and metadata.xmp:
        options["exif"] = _exif_with_xmp(metadata)
    elif name in XMP_FORMATS and metadata.xmp:
        options["xmp"] = metadata.xmp
    return options


def _png_text(metadata: Metadata) -> PngInfo:
    """Text of either kind, as it was read, and XMP, which PNG keeps as text of a name of its own."""
    text = PngInfo()
    for key, value in metadata.texts:
        text.add_text(key, value)
    if metadata.xmp:
        text.add_itxt(PNG_XMP, metadata.xmp.decode("utf-8", "replace"))
    return text


def _exif_with_xmp(metadata: Metadata) -> Image.Exif:
    """TIFF keeps XMP as a tag beside those of EXIF."""
    exif = Image.Exif()
    exif.load(metadata.exif or b"")
    exif[ExifTags.Base.XMLPacket] = metadata.xmp
    return exif
