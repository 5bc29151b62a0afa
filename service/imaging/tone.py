"""The tone of a fill: how far it is from the photo around the hole, and that difference carried smoothly inside.

One mean a channel, as published, leaves a seam wherever the light changes along the hole; the rest of the
difference is therefore spread as a membrane from the ring inwards (Perez, Gangnet and Blake 2003, equation 4).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import sparse
from scipy.sparse.linalg import spsolve

from service.imaging.picture import Flags
from service.imaging.tiles import LATENT_CELL, Floats


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


def tone_field(reference: Floats, generated: Floats, ring: Flags) -> Floats:
    """What to add to `generated` [3, s, s] so that it meets `reference` on the ring [s, s]: [3, s, s].

    Smooth: known on the ring as means over latent cells, harmonic everywhere else. Zero on an empty ring.
    """
    if not ring.any():
        return np.zeros_like(generated)
    cells = generated.shape[1] // LATENT_CELL
    count = _pooled(ring[None].astype(np.float32), cells)[0]  # [n, n] ring pixels of each cell
    sums = _pooled(np.where(ring, reference - generated, 0), cells)  # [3, n, n]
    known = count > 0
    means = sums[:, known] / count[known]  # [3, ring cells]
    membrane = _membrane(known, means.T.astype(np.float64))  # [n * n, 3]
    size = (generated.shape[2], generated.shape[1])
    channels = membrane.T.reshape(3, cells, cells).astype(np.float32)
    return np.stack(
        [np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BILINEAR)) for channel in channels]
    )


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
