"""The small picture that benchmarks of the service send: its coding should cost little."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image


def gradient_and_hole(side: int) -> tuple[bytes, bytes]:
    """A colour gradient and a mask with a square hole of a quarter of its side in the middle, both PNG."""
    y, x = np.mgrid[:side, :side] / side
    colors = (np.stack([x, y, (x + y) / 2], axis=-1) * 255).astype(np.uint8)
    mask = np.zeros((side, side), np.uint8)
    mask[side * 3 // 8 : side * 5 // 8, side * 3 // 8 : side * 5 // 8] = 255
    return _png(colors), _png(mask)


def _png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
