"""Reading uploaded bytes: every refusal of a picture that can't be used happens here, the cheap ones first.

Owns Pillow's process-wide size limit: it is off, because the size is checked here against the caller's.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin, UnidentifiedImageError

from service.contracts import MIN_SIDE
from service.errors import (
    AnimatedImage,
    InpaintError,
    NotAnImage,
    PayloadTooLarge,
    PictureTooSmall,
    TooManyPixels,
    TruncatedImage,
    UnsupportedPicture,
)
from service.imaging import color, metadata
from service.imaging.formats import FORMAT_NAMES, FORMATS, GRAY_16, READABLE_MODES, format_by_signature
from service.imaging.picture import Bytes8, Picture

Image.MAX_IMAGE_PIXELS = None
# Pillow warns about damaged metadata on stderr; what matters of it comes back as a note or an error.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

ALLOWED = f"Send a file of one of these formats: {FORMAT_NAMES}."


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a file says of itself. Width and height are in display orientation."""

    format: str
    content_type: str
    width: int
    height: int
    mode: str


def inspect_picture(data: bytes, *, max_bytes: int, max_pixels: int, what: str = "image") -> PictureHeader:
    """Read the header of a picture, decoding no pixels; `what` names it in messages.

    Raises `PayloadTooLarge`, `NotAnImage`, `TruncatedImage`, `PictureTooSmall`, `TooManyPixels`,
    `AnimatedImage`, `UnsupportedPicture` and `InvalidColorProfile`. Damage further on is found by
    `decode_picture` alone.
    """
    if len(data) > max_bytes:
        raise PayloadTooLarge(
            f"The {what} has {len(data):,} bytes; at most {max_bytes:,} are allowed. "
            "Send a smaller picture, or the same one as JPEG or WebP."
        )
    image = open_picture(data, max_pixels=max_pixels, what=what)
    mode = _require_exact_mode(image, data, what)
    with damage_refused(what):
        width, height = metadata.display_size(image, data)
    color.check_profile(mode, image.info.get("icc_profile"))
    name = str(image.format)
    return PictureHeader(name, FORMATS[name].content_type, width, height, mode)


def decode_picture(data: bytes, *, max_pixels: int) -> Picture:
    """Decode a picture fully, upright by its EXIF orientation, with all that it takes to write it back.

    Raises what `inspect_picture` raises but for the bytes' limit, and `TruncatedImage` on damaged data.
    """
    image = open_picture(data, max_pixels=max_pixels, what="image")
    mode = _require_exact_mode(image, data, "image")
    color.check_profile(mode, image.info.get("icc_profile"))
    with damage_refused("image"):
        image.load()
        upright = metadata.upright(image)
        described, notes = metadata.read(image, data)
        pixels = np.array(upright, dtype=np.uint16) if mode == GRAY_16 else np.array(upright)
        palette = _palette(image) if mode == "P" else None
    return Picture(pixels, mode, str(image.format), palette, described, notes)


@contextmanager
def damage_refused(what: str) -> Iterator[None]:
    """Turn whatever Pillow raises on damaged data into `TruncatedImage`.

    Its decoders raise nearly every built-in exception, MemoryError included, on hostile bytes.
    """
    try:
        yield
    except InpaintError:
        raise
    except Exception as error:
        raise TruncatedImage(
            f"The {what} is truncated or damaged and can't be decoded. Send the complete file."
        ) from error


def open_picture(data: bytes, *, max_pixels: int, what: str) -> ImageFile.ImageFile:
    """Open without decoding and refuse what is no still picture of a size allowed.

    Raises `NotAnImage`, `TruncatedImage`, `PictureTooSmall`, `TooManyPixels`, `AnimatedImage`.
    """
    if not data:
        raise NotAnImage(f"The {what} is empty (0 bytes). {ALLOWED}")
    image = _identify(data, what)
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise PictureTooSmall(
            f"The {what} is {width} x {height} pixels; both sides must have at least {MIN_SIDE}."
        )
    if width * height > max_pixels:
        raise TooManyPixels(
            f"The {what} is {width} x {height} = {width * height:,} pixels; at most {max_pixels:,} are "
            "allowed. Send a smaller picture, or a part of it."
        )
    with damage_refused(what):
        if getattr(image, "is_animated", False):
            raise AnimatedImage(
                f"The {what} is animated or has several pages; only still pictures are allowed. "
                "Send one frame or page."
            )
    return image


def _identify(data: bytes, what: str) -> ImageFile.ImageFile:
    claimed = format_by_signature(data)
    try:
        if claimed == "JPEG":
            # Image.open would make a stereo or depth photo an animated MPO; its first picture is the photo.
            return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        return Image.open(io.BytesIO(data), formats=tuple(FORMATS))
    except Exception as error:
        if claimed == "PNG" and len(data) >= 24 and 0 in (_big_endian(data[16:20]), _big_endian(data[20:24])):
            raise PictureTooSmall(
                f"The {what} has a side of 0 pixels; both sides must have at least {MIN_SIDE}."
            ) from error
        if claimed is None and isinstance(error, UnidentifiedImageError):
            raise NotAnImage(f"The {what} is not a picture of a kind that is read here. {ALLOWED}") from error
        raise TruncatedImage(
            f"The {what} begins like a {claimed or 'picture'} file but is truncated or damaged. "
            "Send the complete file."
        ) from error


def _big_endian(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _require_exact_mode(image: ImageFile.ImageFile, data: bytes, what: str) -> str:
    """The picture's mode, if its pixels can be kept exactly; else raises `UnsupportedPicture`."""
    if _is_narrowed(image, data):
        raise UnsupportedPicture(
            f"The {what} has more than 8 bits a channel in several channels, which would be narrowed "
            "silently. Send 8 bits a channel, or 16-bit gray."
        )
    if image.mode.startswith("I;16") or (image.format == "PPM" and image.mode == "I"):
        return GRAY_16
    if image.mode not in READABLE_MODES:
        raise UnsupportedPicture(
            f"The {what} has pixels of mode {image.mode}, which can't be kept. Allowed are 1-bit, gray (8 "
            "and 16 bits), gray with alpha, palette, RGB, RGBA and CMYK."
        )
    return image.mode


def _is_narrowed(image: ImageFile.ImageFile, data: bytes) -> bool:
    """Whether Pillow would silently cut deep colours to 8 bits: it has no mode for several deep channels."""
    if image.format == "PNG":
        return data[24] == 16 and data[25] != 0
    if image.format == "TIFF":
        bits = image.getexif().get(258, 8)
        return isinstance(bits, tuple) and len(bits) > 1 and max(bits) > 8
    if image.format == "PPM":
        return image.mode == "RGB" and _ppm_maximum(image) > 255
    if image.format == "AVIF":
        configuration = data.find(b"av1C")
        # AV1 in ISOBMFF, 2.3.3: the third byte holds seq_tier_0 and, below it, high_bitdepth.
        return configuration >= 0 and bool(data[configuration + 6] & 0x40)
    return False


def _ppm_maximum(image: ImageFile.ImageFile) -> int:
    arguments = image.tile[0][3]
    return int(arguments[-1]) if isinstance(arguments, tuple) else 255


def _palette(image: Image.Image) -> Bytes8:
    """RGBA of every palette entry, [n, 4], n at least one more than the largest index in use."""
    entries = np.frombuffer(bytes(image.getpalette("RGBA") or []), np.uint8).reshape(-1, 4)[:256].copy()
    transparency = image.info.get("transparency")
    if isinstance(transparency, int) and transparency < len(entries):
        entries[transparency, 3] = 0
    elif isinstance(transparency, bytes):
        opacities = np.frombuffer(transparency, np.uint8)[: len(entries)]
        entries[: len(opacities), 3] = opacities
    largest = int(np.asarray(image).max())
    missing = max(0, largest + 1 - len(entries))
    return np.concatenate([entries, np.tile(np.array([0, 0, 0, 255], np.uint8), (missing, 1))])
