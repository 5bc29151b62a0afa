"""The tone of a crop's few colours: what they are off by outside is carried into the hole, and nothing else is."""

from __future__ import annotations

import numpy as np

from service.imaging.cell_tone import KnownTone, StartTone, cell_means
from service.imaging.tiles import Floats, TileCrop

SIDE, CELLS = 64, 8
HOLE = (slice(3, 6), slice(2, 6))  # in cells


def tile(*, known: bool = True) -> TileCrop:
    """A tile that grows brighter to the right, with a hole of 3 x 4 cells."""
    image = np.broadcast_to(np.linspace(-0.5, 0.5, SIDE, dtype=np.float32), (3, SIDE, SIDE))
    mask = np.zeros((CELLS, CELLS), np.float32)
    mask[HOLE] = 1
    pixels = mask.repeat(CELLS, axis=0).repeat(CELLS, axis=1)
    return TileCrop(image, pixels, (pixels == 0) & known)


def tilted() -> Floats:
    """An error that grows from top to bottom."""
    return np.broadcast_to(np.linspace(0.0, 0.7, CELLS, dtype=np.float32)[:, None], (3, CELLS, CELLS))


def test_an_error_that_changes_over_the_crop_is_taken_off_inside_the_hole_too() -> None:
    wanted = cell_means(tile().image)
    np.testing.assert_allclose(KnownTone(tile()).matched(wanted + tilted()), wanted, atol=1e-5)


def test_what_the_hole_shows_of_its_own_stays() -> None:
    colors = cell_means(tile().image).copy()
    colors[:, 4, 4] += 0.4
    np.testing.assert_allclose(KnownTone(tile()).matched(colors), colors, atol=1e-5)


def test_where_nothing_is_known_colours_stay_as_they_are() -> None:
    np.testing.assert_array_equal(KnownTone(tile(known=False)).matched(tilted()), tilted())


def test_a_fine_tile_keeps_its_detail_and_takes_the_tone_of_its_start() -> None:
    start = cell_means(tile().image)
    checkered = np.where(np.indices((CELLS, CELLS)).sum(axis=0) % 2, 0.1, -0.1).astype(np.float32)
    toned = StartTone(tile(), scale=8.0).matched(start + 0.5 + checkered)
    np.testing.assert_allclose(toned, start + checkered, atol=0.06)
