"""Pictures whose transparency means "fill here", as OpenAI's interface has it: made opaque where they are filled.

Elsewhere alpha is kept, and a fill under it would not be seen.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from service.contracts import Box, MaskPolarity
from service.errors import EmptyMask, UnsupportedPicture
from service.imaging.decode import decode_picture, open_picture
from service.imaging.mask import THRESHOLD, decode_mask
from service.imaging.native import colors_of
from service.imaging.picture import Bytes8, Flags, Picture, Pixels

FAST = 1  # zlib's level: the file goes no further than to a worker


def with_open_hole(image: bytes, mask: bytes | None, *, max_pixels: int) -> tuple[bytes, bytes]:
    """The picture with an opaque hole, and the mask, both encoded, for `MaskPolarity.TRANSPARENT`.

    Without a `mask` the hole is what is transparent in the picture. What needs no change comes back as it came.
    Raises what `decode_picture` and `decode_mask` raise.
    """
    if (
        mask is not None
        and not open_picture(image, max_pixels=max_pixels, what="image").has_transparency_data
    ):
        return image, mask
    picture = decode_picture(image, max_pixels=max_pixels)
    whole = Box(0, 0, *picture.size)
    opacity = picture.opacity(whole)
    if mask is None:
        hole = _own_hole(opacity)
        mask = _encoded(np.where(hole, 0, 255).astype(np.uint8), np.zeros(hole.shape, np.uint8))
    elif opacity is None:
        return image, mask
    else:
        hole = decode_mask(mask, picture.size, MaskPolarity.TRANSPARENT, max_pixels=max_pixels)
    if opacity is None or not (opacity[hole] < 255).any():
        return image, mask
    colors = colors_of(picture, whole)
    if colors.dtype != np.uint8:
        raise UnsupportedPicture(
            "The image has more than 8 bits a channel and is transparent inside the hole. Send it without "
            "transparency, and the hole as a mask."
        )
    alpha = np.where(hole, 255, opacity).astype(np.uint8)
    return _encoded(alpha, colors, **_metadata(picture)), mask


def _own_hole(opacity: Bytes8 | None) -> Flags:
    hole = None if opacity is None else opacity < THRESHOLD
    if hole is None or not hole.any():
        raise EmptyMask(
            "There is no mask, and nothing of the image is transparent (alpha below 128). Send a mask whose "
            "transparent part is to be filled, or an image with such a part."
        )
    return hole


def _encoded(alpha: Bytes8, colors: Pixels, **options: Any) -> bytes:
    """A PNG of `colors` [h, w] or [h, w, C] under `alpha` [h, w], which is left out where all is opaque."""
    pixels = colors if alpha.min() == 255 else np.dstack([colors, alpha])
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, "PNG", compress_level=FAST, **options)
    return buffer.getvalue()


def _metadata(picture: Picture) -> dict[str, Any]:
    metadata = picture.metadata
    told = {"icc_profile": metadata.icc, "exif": metadata.exif, "dpi": metadata.density}
    return {name: value for name, value in told.items() if value}
