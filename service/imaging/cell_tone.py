"""The tone of a crop's few colours, one a latent cell: the map from latents to colours is off by a little that changes
slowly over the crop, and the network's own tone by more, as that of the fill before it is matched.
"""

from __future__ import annotations

import numpy as np

from service.imaging.compose import COARSE_BLUR
from service.imaging.crops import LATENT_CELL
from service.imaging.membrane import Membrane
from service.imaging.picture import Flags
from service.imaging.tiles import Floats, TileCrop
from service.imaging.tone import coarse_shift

LEAST_BLUR = 1.0  # cells


class KnownTone:
    """A first crop: what its colours are off by where they are the photo's is carried into its hole."""

    def __init__(self, tile: TileCrop) -> None:
        cells = len(tile.known) // LATENT_CELL
        pixels = tile.known.reshape(cells, LATENT_CELL, cells, LATENT_CELL)
        self._known: Flags = np.logical_and.reduce(pixels, axis=(1, 3))
        self._photo = cell_means(tile.image)
        self._membrane = Membrane(self._known)

    def matched(self, colors: Floats) -> Floats:
        """Colours [3, n, n] in [-1, 1] in the tone of the photo; as they are where there is none."""
        if not self._known.any():
            return colors
        off = (self._photo - colors)[:, self._known].T.astype(np.float64)  # [known cells, 3]
        return colors + self._membrane.spread(off).T.reshape(colors.shape).astype(np.float32)


class StartTone:
    """A fine tile: its colours take the tone of what it started from, the photo with the first fill, whose pixels are
    `scale` of its own, as its fill will (compose.matched_to_start).
    """

    def __init__(self, tile: TileCrop, scale: float) -> None:
        self._start = cell_means(tile.image)
        self._everywhere = np.ones(self._start.shape[1:], np.bool_)
        self._blur = max(LEAST_BLUR, COARSE_BLUR * scale / LATENT_CELL)

    def matched(self, colors: Floats) -> Floats:
        """Colours [3, n, n] in [-1, 1] in the tone of the start; detail stays their own."""
        return colors + coarse_shift(self._start, colors, self._everywhere, self._blur)


def cell_means(image: Floats) -> Floats:
    """Mean colours of a tile's latent cells: [3, s, s] -> [3, n, n]."""
    cells = image.shape[1] // LATENT_CELL
    means: Floats = image.reshape(3, cells, LATENT_CELL, cells, LATENT_CELL).mean(axis=(2, 4))
    return means
