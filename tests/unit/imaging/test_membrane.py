"""Membranes: fixed values stay, and between them all is as even as can be."""

from __future__ import annotations

import numpy as np
import pytest

from service.imaging.membrane import Membrane


def test_between_two_ends_values_change_evenly() -> None:
    fixed = np.zeros((1, 6), np.bool_)
    fixed[0, [0, 5]] = True
    spread = Membrane(fixed).spread(np.array([[0.0, 5.0], [10.0, 0.0]]))
    np.testing.assert_allclose(spread[:, 0], [0, 2, 4, 6, 8, 10])
    np.testing.assert_allclose(spread[:, 1], [5, 4, 3, 2, 1, 0])


def test_a_plane_goes_on_as_a_plane_in_a_grid_that_is_not_square() -> None:
    rows, columns = np.indices((7, 12))
    plane = (2.0 * rows - 3.0 * columns).reshape(-1, 1)
    fixed = np.ones((7, 12), np.bool_)
    fixed[2:5, 3:9] = False
    np.testing.assert_allclose(Membrane(fixed).spread(plane[fixed.ravel()]), plane)


@pytest.mark.parametrize("count", [1, 12])
def test_where_all_that_is_fixed_is_the_same_all_is(count: int) -> None:
    fixed = np.zeros((3, 4), np.bool_)
    fixed.ravel()[:count] = True
    np.testing.assert_allclose(Membrane(fixed).spread(np.full((count, 1), 0.25)), 0.25)
