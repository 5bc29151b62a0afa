"""The tone of a fill: how far it is from the photo around the hole, and that difference carried smoothly inside.

One mean a channel, as published, leaves a seam wherever the light changes along the hole, and sees nothing of a
fill that jumps at the hole's edge. What is left of the jump is therefore spread as a membrane from the edge inwards
(Perez, Gangnet and Blake 2003, equation 4).
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from service.imaging.area import Floats
from service.imaging.crops import LATENT_CELL
from service.imaging.feather import dilated
from service.imaging.membrane import Membrane
from service.imaging.picture import Flags

BAND = 3  # pixels at model scale, on either side of the hole's edge
TRUE_EDGE = 0.8  # in [-1, 1]: a jump much larger is taken for an edge of the picture and kept


def ring_shift(reference: Floats, generated: Floats, ring: Flags) -> Floats:
    """Mean of (reference - generated) over the ring [s, s], a channel: [3]. Zero on an empty ring.

    `reference` and `generated` are [3, s, s]. The published paste-back adds 1.1 times this.
    """
    if not ring.any():
        return np.zeros(3, np.float32)
    shift: Floats = (
        (reference[:, ring] - generated[:, ring]).mean(axis=1, dtype=np.float64).astype(np.float32)
    )
    return shift


def coarse_shift(reference: Floats, generated: Floats, hole: Flags, blur: float) -> Floats:
    """What to add to `generated` [3, s, s] so that inside `hole` [s, s] it has the tone of `reference`, seen through a
    Gaussian of `blur` pixels: [3, s, s]. Detail finer than that stays the fill's own.
    """
    weights = ndimage.gaussian_filter(hole.astype(np.float32), blur, mode="nearest")
    difference = np.where(hole, reference - generated, 0)
    smooth = ndimage.gaussian_filter(difference, (0, blur, blur), mode="nearest")
    shift: Floats = (smooth / np.maximum(weights, 1e-3)).astype(np.float32)
    return shift


class ToneMembrane:
    """How a jump at the edge of a `hole` [s, s] is spread inwards, by the `known` [s, s] pixels around it. It is made,
    and its equations are factorised, once for all fills of the hole.
    """

    def __init__(self, hole: Flags, known: Flags) -> None:
        cells = len(hole) // LATENT_CELL
        self._outside = dilated(hole, BAND) & known
        self._inside = dilated(self._outside, 2 * BAND) & hole
        near_outside, near_inside = (_near(band, cells) for band in (self._outside, self._inside))
        at_edge = _pooled(self._inside[None].astype(np.float32), cells)[0] > 0
        self._edge = at_edge & near_outside & near_inside
        self._membrane = Membrane(self._edge)

    def field(self, reference: Floats, generated: Floats) -> Floats:
        """What to add to `generated` [3, s, s] so that it goes on inside the hole as `reference` ends where it is
        known: [3, s, s], smooth. Zero where no known pixel touches the hole.
        """
        if not self._edge.any():
            return np.zeros_like(generated)
        cells = len(self._edge)
        outer = _local_means(reference, self._outside, cells)  # [3, n, n]
        inner = _local_means(generated, self._inside, cells)
        jumps = (outer - inner)[:, self._edge].T.astype(np.float64)  # [edge cells, 3]
        jumps *= np.exp(-np.square(jumps / TRUE_EDGE))
        size = (generated.shape[2], generated.shape[1])
        channels = self._membrane.spread(jumps).T.reshape(3, cells, cells).astype(np.float32)
        return np.stack(
            [
                np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BILINEAR))
                for channel in channels
            ]
        )


def _near(band: Flags, cells: int) -> Flags:
    """Cells that the band touches, and their eight neighbours."""
    touched = _pooled(band[None].astype(np.float32), cells)[0] > 0
    near: Flags = ndimage.binary_dilation(touched, np.ones((3, 3)))
    return near


def _local_means(values: Floats, band: Flags, cells: int) -> Floats:
    """Means of the band's pixels over each latent cell and its eight neighbours; 0 where there are none."""
    around = np.ones((1, 3, 3), np.float32)
    count = ndimage.convolve(_pooled(band[None].astype(np.float32), cells), around, mode="constant")
    sums = ndimage.convolve(_pooled(np.where(band, values, 0), cells), around, mode="constant")
    means: Floats = sums / np.maximum(count, 1)
    return means


def _pooled(values: Floats, cells: int) -> Floats:
    """Sums over latent cells: [C, s, s] -> [C, n, n]."""
    sums: Floats = values.reshape(len(values), cells, LATENT_CELL, cells, LATENT_CELL).sum(axis=(2, 4))
    return sums
