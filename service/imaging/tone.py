"""The tone of a fill: how far it is from the photo around the hole, and that difference carried smoothly inside.

One mean a channel, as published, leaves a seam wherever the light changes along the hole, and sees nothing of a
fill that jumps at the hole's edge. What is left of the jump is therefore spread as a membrane from the edge inwards
(Perez, Gangnet and Blake 2003, equation 4).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from service.imaging.feather import dilated
from service.imaging.picture import Flags
from service.imaging.tiles import LATENT_CELL, Floats

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


def tone_field(reference: Floats, generated: Floats, hole: Flags, known: Flags) -> Floats:
    """What to add to `generated` [3, s, s] so that it goes on inside `hole` [s, s] as `reference` ends where it is
    `known` [s, s]: [3, s, s], smooth. Zero where no known pixel touches the hole.
    """
    outside = dilated(hole, BAND) & known
    inside = dilated(outside, 2 * BAND) & hole
    cells = generated.shape[1] // LATENT_CELL
    outer, outer_found = _local_means(reference, outside, cells)  # [3, n, n], [n, n]
    inner, inner_found = _local_means(generated, inside, cells)
    edge = _pooled(inside[None].astype(np.float32), cells)[0] > 0
    edge &= outer_found & inner_found
    if not edge.any():
        return np.zeros_like(generated)
    jumps = (outer - inner)[:, edge].T.astype(np.float64)  # [edge cells, 3]
    jumps *= np.exp(-np.square(jumps / TRUE_EDGE))
    membrane = _membrane(edge, jumps)  # [n * n, 3]
    size = (generated.shape[2], generated.shape[1])
    channels = membrane.T.reshape(3, cells, cells).astype(np.float32)
    return np.stack(
        [np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BILINEAR)) for channel in channels]
    )


def _local_means(values: Floats, band: Flags, cells: int) -> tuple[Floats, Flags]:
    """Means of the band's pixels over each latent cell and its eight neighbours, and where there are any."""
    around = np.ones((1, 3, 3), np.float32)
    count = ndimage.convolve(_pooled(band[None].astype(np.float32), cells), around, mode="constant")
    sums = ndimage.convolve(_pooled(np.where(band, values, 0), cells), around, mode="constant")
    means: Floats = sums / np.maximum(count, 1)
    return means, count[0] > 0


def _pooled(values: Floats, cells: int) -> Floats:
    """Sums over latent cells: [C, s, s] -> [C, n, n]."""
    sums: Floats = values.reshape(len(values), cells, LATENT_CELL, cells, LATENT_CELL).sum(axis=(2, 4))
    return sums


def _membrane(known: Flags, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Values [k, C] of the known cells of a grid [n, n], and the harmonic ones between them: [n * n, C]."""
    side = known.shape[0]
    line = sparse.diags([-np.ones(side - 1), -np.ones(side - 1)], [1, -1])
    neighbours = sparse.kron(line, sparse.eye(side)) + sparse.kron(sparse.eye(side), line)
    laplacian = sparse.csr_array(neighbours - sparse.diags(np.asarray(neighbours.sum(axis=1)).ravel()))
    fixed = known.ravel()
    solved = np.empty((fixed.size, values.shape[1]))
    solved[fixed] = values
    if not fixed.all():
        inner = laplacian[~fixed]
        solved[~fixed] = spsolve(inner[:, ~fixed].tocsc(), -(inner[:, fixed] @ values)).reshape(
            -1, values.shape[1]
        )
    return solved
