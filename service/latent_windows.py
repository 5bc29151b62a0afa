"""A latent cell with its neighbours: what the map from latents to colours reads, where it is fitted and where it is
used. Of the outermost cells it tells nothing: beside an autoencoder's padding they are another code.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Float = TypeVar("Float", np.float32, np.float64)

Array = npt.NDArray[np.float32]
BORDER = 2  # cells on each side that are another code, of the built-in autoencoder: those of a 16-pixel frame


def latent_windows(latents: Array, kernel: int) -> Array:
    """The windows of `kernel` x `kernel` cells (odd) around each cell of latents [C, h, w], channels outermost, then
    rows: [C * kernel * kernel, h, w]. Beyond the edge the last cells are repeated.
    """
    channels, height, width = latents.shape
    reach = kernel // 2
    padded = np.pad(latents, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    windows = sliding_window_view(padded, (kernel, kernel), axis=(1, 2))  # [C, h, w, kernel, kernel]
    flat: Array = windows.transpose(0, 3, 4, 1, 2).reshape(channels * kernel * kernel, height, width)
    return flat


def with_border_repeated(colors: Array) -> Array:
    """Colours [3, h, w] with those of the outermost cells replaced by their inner neighbours'."""
    border = _border(colors)
    return np.pad(without_border(colors), ((0, 0), (border, border), (border, border)), mode="edge")


def without_border(cells: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Cells [C, h, w] without the outermost ones."""
    border = _border(cells)
    return cells[:, border : cells.shape[1] - border, border : cells.shape[2] - border]


def _border(cells: npt.NDArray[Float]) -> int:
    """BORDER, or less where a tiny crop would have nothing left."""
    smaller: int = min(cells.shape[1:])
    return min(BORDER, (smaller - 1) // 2)
