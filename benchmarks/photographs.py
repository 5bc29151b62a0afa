"""Photographs of any size, enlarged from an example with a camera's grain, and masks with square holes."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "seabed.jpg"
JPEG_QUALITY = 92
GRAIN = 6.0  # levels: an enlarged photograph is smoother, and so smaller, than one that was taken so large

Bytes8 = npt.NDArray[np.uint8]


def photograph(side: int, kind: str) -> bytes:
    """A square photograph as a file: "JPEG" or "PNG"."""
    with Image.open(EXAMPLE) as photo:
        pixels = np.asarray(photo.convert("RGB").resize((side, side), Image.Resampling.BICUBIC), np.float32)
    pixels += np.random.default_rng(0).normal(0.0, GRAIN, (side, side, 1)).astype(np.float32)
    return _file(pixels.clip(0, 255).astype(np.uint8), kind)


def mask_with_holes(side: int, hole: int, count: int = 1) -> bytes:
    """A mask as PNG: `count` square holes of `hole` pixels, one in the middle of each cell of a square grid."""
    mask = np.zeros((side, side), np.uint8)
    for left, top in _corners(side, hole, count):
        mask[top : top + hole, left : left + hole] = 255
    return _file(mask, "PNG")


def _corners(side: int, hole: int, count: int) -> Iterator[tuple[int, int]]:
    """Left and top of each hole, row by row."""
    cells = ceil(count**0.5)
    for index in range(count):
        row, column = divmod(index, cells)
        yield _start(side, hole, column, cells), _start(side, hole, row, cells)


def _start(side: int, hole: int, cell: int, cells: int) -> int:
    return round(side * (cell + 0.5) / cells - hole / 2)


def _file(pixels: Bytes8, kind: str) -> bytes:
    file = BytesIO()
    quality = {"quality": JPEG_QUALITY} if kind == "JPEG" else {}
    Image.fromarray(pixels).save(file, kind, **quality)
    return file.getvalue()
