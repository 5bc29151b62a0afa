"""A hole as a smooth continuation of what is around it: what is shown of it before anything else is known."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from service.imaging.area import Floats
from service.imaging.membrane import Membrane
from service.imaging.picture import Flags

CELLS = (
    64  # on the longer side of the grid that is solved: more could not be seen, and takes longer than a step
)
MID_GREY = 127.5


def continued(colors: Floats, known: Flags) -> Floats:
    """Levels [h, w, 3] as they are where they are `known` [h, w], and carried smoothly to the rest; mid-grey where
    nothing is known.
    """
    if not known.any():
        return np.full_like(colors, MID_GREY)
    height, width = known.shape
    pitch = math.ceil(max(height, width) / CELLS)  # pixels of a cell
    counts = _sums(known[..., None].astype(np.float32), pitch)  # [rows, columns, 1]
    means = _sums(np.where(known[..., None], colors, 0), pitch) / np.maximum(counts, 1)
    fixed = counts[..., 0] > 0
    carried = Membrane(fixed).spread(means[fixed].astype(np.float64)).reshape(means.shape).astype(np.float32)
    return np.where(known[..., None], colors, _enlarged(carried, pitch)[:height, :width])


def _sums(values: Floats, pitch: int) -> Floats:
    """Sums over squares of `pitch` pixels: [h, w, C] -> [rows, columns, C]."""
    height, width, channels = values.shape
    padded = np.pad(values, ((0, -height % pitch), (0, -width % pitch), (0, 0)))
    rows, columns = padded.shape[0] // pitch, padded.shape[1] // pitch
    sums: Floats = padded.reshape(rows, pitch, columns, pitch, channels).sum(axis=(1, 3))
    return sums


def _enlarged(cells: Floats, pitch: int) -> Floats:
    size = (cells.shape[1] * pitch, cells.shape[0] * pitch)
    channels = [Image.fromarray(channel) for channel in np.ascontiguousarray(np.moveaxis(cells, 2, 0))]
    return np.stack(
        [np.asarray(channel.resize(size, Image.Resampling.BILINEAR)) for channel in channels], axis=2
    )
