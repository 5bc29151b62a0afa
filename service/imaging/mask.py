"""The uploaded mask: from a picture of any mode to one flag a pixel of the photo, True = fill."""

from __future__ import annotations

import numpy as np
from PIL import Image

from service.contracts import MaskPolarity
from service.errors import EmptyMask, MaskSizeMismatch, UnsupportedPicture
from service.imaging import metadata
from service.imaging.decode import damage_refused, open_picture
from service.imaging.picture import Bytes8, Flags

THRESHOLD = 128
NOTHING_SELECTED = {
    MaskPolarity.WHITE: "no pixel is as bright as 128. White means fill; if black does in yours, "
    "set mask_polarity to black",
    MaskPolarity.BLACK: "no pixel is darker than 128. Black means fill; if white does in yours, "
    "set mask_polarity to white",
    MaskPolarity.TRANSPARENT: "no pixel has an alpha below 128. Transparent means fill; for a black and "
    "white mask set mask_polarity to white or black",
}


def decode_mask(data: bytes, size: tuple[int, int], polarity: MaskPolarity, *, max_pixels: int) -> Flags:
    """Flags [H, W] for a photo of `size` (width, height) in display orientation; True = fill.

    Luminance and alpha count as set from 128 up. Transparent parts of a mask keep the photo, whether white or
    black means fill. The mask is turned by its own EXIF tag, and resized if only its scale differs; made
    smaller, it loses no set pixel.

    Raises what `open_picture` raises, `TruncatedImage`, `UnsupportedPicture`, `MaskSizeMismatch`,
    `EmptyMask`.
    """
    image = open_picture(data, max_pixels=max_pixels, what="mask")
    with damage_refused("mask"):
        image.load()
        levels = _levels(metadata.upright(image), polarity)
    flags = _fit(np.asarray(levels) >= THRESHOLD, size)
    if not flags.any():
        raise EmptyMask(f"The mask selects nothing: {NOTHING_SELECTED[polarity]}.")
    return flags


def _levels(image: Image.Image, polarity: MaskPolarity) -> Image.Image:
    """The mask as 8-bit gray in which bright means fill."""
    image = _eight_bits(image)
    if (
        image.mode in ("1", "L")
        and not image.has_transparency_data
        and polarity is not MaskPolarity.TRANSPARENT
    ):
        gray = image.convert("L")
        return gray if polarity is MaskPolarity.WHITE else gray.point(_inverted())
    colored = image.convert("RGBA")
    if polarity is MaskPolarity.TRANSPARENT:
        return colored.getchannel("A").point(_inverted())
    kept = "black" if polarity is MaskPolarity.WHITE else "white"
    gray = Image.alpha_composite(Image.new("RGBA", colored.size, kept), colored).convert("L")
    return gray if polarity is MaskPolarity.WHITE else gray.point(_inverted())


def _inverted() -> list[int]:
    return [255 - level for level in range(256)]


def _eight_bits(image: Image.Image) -> Image.Image:
    """Deep gray brought to 8 bits by value; Pillow's own conversion would clip it to white."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        deep = np.clip(np.array(image, dtype=np.int64), 0, 65_535)
        narrowed: Bytes8 = ((deep * 255 + 32_767) // 65_535).astype(np.uint8)
        return Image.fromarray(narrowed)
    if image.mode in ("F", "LAB", "HSV"):
        raise UnsupportedPicture(
            f"The mask has pixels of mode {image.mode}. Allowed are 1-bit, gray, palette, RGB and CMYK, "
            "with or without alpha."
        )
    return image


def _fit(flags: Flags, size: tuple[int, int]) -> Flags:
    """Flags [h, w] for `size` if the aspect is the same to within a pixel; else raises `MaskSizeMismatch`."""
    mask_height, mask_width = flags.shape
    width, height = size
    if (mask_width, mask_height) == size:
        return flags
    rows_expected = height * mask_width / width
    columns_expected = width * mask_height / height
    if abs(rows_expected - mask_height) >= 1 and abs(columns_expected - mask_width) >= 1:
        raise MaskSizeMismatch(
            f"The mask is {mask_width} x {mask_height} pixels, but the image is {width} x {height} as displayed "
            "(turned by its EXIF orientation). Send a mask of the image's size, or of the same aspect."
        )
    if mask_width >= width and mask_height >= height:
        return _pooled(flags, size)
    enlarged = Image.fromarray(flags.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(np.asarray(enlarged) >= THRESHOLD)


def _pooled(flags: Flags, size: tuple[int, int]) -> Flags:
    """Max-pooled to a smaller `size`, so that a thin stroke does not vanish as it would by averaging."""
    columns = np.arange(size[0]) * flags.shape[1] // size[0]
    rows = np.arange(size[1]) * flags.shape[0] // size[1]
    return np.logical_or.reduceat(np.logical_or.reduceat(flags, rows, axis=0), columns, axis=1)
