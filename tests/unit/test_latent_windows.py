"""Windows of latent cells: the cell itself in the middle, its neighbours in order, the last ones beyond the edge."""

from __future__ import annotations

import numpy as np
import pytest

from service.latent_windows import latent_windows, with_border_repeated

LATENTS = np.arange(2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4)


def test_a_window_of_one_cell_is_that_cell() -> None:
    assert np.array_equal(latent_windows(LATENTS, 1), LATENTS)


def test_a_window_holds_its_cells_row_by_row_one_channel_after_the_other() -> None:
    windows = latent_windows(LATENTS, 3)
    assert windows.shape == (18, 4, 4)
    around = LATENTS[:, 0:3, 1:4]  # of the cell in row 1, column 2
    assert windows[:, 1, 2].tolist() == around.ravel().tolist()


@pytest.mark.parametrize("kernel", [3, 5])
def test_beyond_the_edge_the_last_cells_are_repeated(kernel: int) -> None:
    corner = latent_windows(LATENTS, kernel)[: kernel * kernel, 0, 0].reshape(kernel, kernel)
    middle = kernel // 2
    assert (corner[: middle + 1, : middle + 1] == LATENTS[0, 0, 0]).all()


def test_the_outermost_cells_repeat_their_inner_neighbours() -> None:
    cells = np.arange(36, dtype=np.float32).reshape(1, 6, 6)
    repeated = with_border_repeated(cells)
    assert np.array_equal(repeated[:, 2:4, 2:4], cells[:, 2:4, 2:4])
    assert repeated[0, 0].tolist() == repeated[0, 2].tolist() == [14, 14, 14, 15, 15, 15]
    assert repeated[0, :, -1].tolist() == [15, 15, 15, 21, 21, 21]


def test_a_tiny_crop_keeps_its_middle() -> None:
    cells = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    assert np.array_equal(with_border_repeated(cells), cells)
    assert with_border_repeated(np.arange(9, dtype=np.float32).reshape(1, 3, 3)).tolist() == [[[4] * 3] * 3]
