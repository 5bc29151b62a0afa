"""Making pixels fewer by the mean over the exact area that each new one covers, strip by strip: however large the
picture, no more than a strip of it is held as floats.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from service.imaging.picture import Bytes8

Floats = npt.NDArray[np.float32]


class AreaMeans:
    """The [size, size, C] means of a square of `side` pixels, side >= size, of which [height, width] are there: beyond
    them the last row and column are repeated.
    """

    def __init__(self, side: int, height: int, width: int, size: int) -> None:
        self._rows = _coverage(side, height, size).tocsc()  # [size, height]
        self._columns = _coverage(side, width, size)  # [size, width]
        self._sums: Floats | None = None

    def add(self, top: int, values: Floats) -> None:
        """Take the rows from `top` on: [r, width, C]. Every row is to be added once."""
        rows, width, channels = values.shape
        size = self._columns.shape[0]
        narrow = self._columns @ values.transpose(1, 0, 2).reshape(width, rows * channels)  # [size, r * C]
        across = narrow.reshape(size, rows, channels).transpose(1, 0, 2).reshape(rows, size * channels)
        part = (self._rows[:, top : top + rows] @ across).reshape(size, size, channels)
        self._sums = part if self._sums is None else self._sums + part

    @property
    def means(self) -> Floats:
        """[size, size, C], once all rows are in."""
        assert self._sums is not None, "rows are added before their means are asked for"
        return self._sums.astype(np.float32, copy=False)


def area_downscaled(pixels: Bytes8, size: int) -> Floats:
    """[n, n, C] -> [size, size, C], each value the mean over the exact area that it covers; n >= size."""
    side = pixels.shape[0]
    means = AreaMeans(side, side, side, size)
    means.add(0, pixels.astype(np.float32))
    return means.means


def _coverage(side: int, length: int, size: int) -> sparse.csr_array:
    """Row i holds the share of each of `length` pixels in the i-th of `size` equal intervals of `side` pixels; the last
    pixel stands for all that are missing.
    """
    scale = side / size
    edges = np.union1d(np.arange(side + 1), np.arange(size + 1) * scale)
    middles = (edges[1:] + edges[:-1]) / 2
    rows = np.minimum(middles // scale, size - 1).astype(int)
    shares = (np.diff(edges) / scale).astype(np.float32)
    columns = np.minimum(middles.astype(int), length - 1)
    return sparse.csr_array((shares, (rows, columns)), shape=(size, length))
