"""Values on a part of a grid, carried smoothly to the rest of it: what lies between is the mean of its four neighbours
(the discrete Laplace equation).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import cho_solve_banded, cholesky_banded

from service.imaging.picture import Flags

Doubles = npt.NDArray[np.float64]


class Membrane:
    """A grid of which the cells in `fixed` [h, w], at least one, have values. Its equations are factorised once for
    all values.
    """

    def __init__(self, fixed: Flags) -> None:
        self._fixed = fixed

    def spread(self, values: Doubles) -> Doubles:
        """Values [k, C] of the fixed cells, row by row, and the harmonic ones between them: [h * w, C]."""
        fixed = self._fixed.ravel()
        solved = np.empty((fixed.size, values.shape[1]))
        solved[fixed] = values
        if not fixed.all():
            solve, boundary = self._equations
            solved[~fixed] = solve(-(boundary @ values))
        return solved

    @cached_property
    def _equations(self) -> tuple[Callable[[Doubles], Doubles], sparse.csr_array]:
        """Solves for the free cells, and how these hang on the fixed ones.

        By a banded Cholesky factor, which is an array: SciPy never frees a SuperLU object that another thread drops.
        """
        fixed = self._fixed.ravel()
        inner = _laplacian(*self._fixed.shape)[~fixed]
        free = inner[:, ~fixed].tocoo()  # positive definite
        rows, columns = free.coords
        bands = np.zeros((int((rows - columns).max(initial=0)) + 1, free.shape[0]))
        lower = rows >= columns
        bands[(rows - columns)[lower], columns[lower]] = free.data[lower]
        factor = cholesky_banded(bands, lower=True)
        return lambda values: cho_solve_banded((factor, True), values), inner[:, fixed]


def _laplacian(height: int, width: int) -> sparse.csr_array:
    """Of a grid of cells, each joined to its four neighbours."""
    down, across = _line(height), _line(width)
    neighbours = sparse.kron(down, sparse.eye(width)) + sparse.kron(sparse.eye(height), across)
    return sparse.csr_array(neighbours - sparse.diags(np.asarray(neighbours.sum(axis=1)).ravel()))


def _line(length: int) -> sparse.csr_array:
    joined = -np.ones(length - 1)
    return sparse.csr_array(sparse.diags([joined, joined], [1, -1], shape=(length, length)))
