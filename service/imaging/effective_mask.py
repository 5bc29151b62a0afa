"""The effective mask as a file: which pixels of an answer may differ from the photo, and how much."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from service.imaging.encode import PNG_LEVEL
from service.imaging.retouch import Retouch


def effective_mask_file(retouch: Retouch) -> bytes:
    """A gray PNG of the picture's size as displayed: 255 where the fill alone is, 0 where nothing is touched, the
    feather in between.
    """
    width, height = retouch.picture.size
    box = retouch.hole.box
    levels = np.zeros((height, width), np.uint8)
    levels[box.top : box.bottom, box.left : box.right] = retouch.hole.alpha
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()
