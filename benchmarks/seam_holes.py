"""Holes like those that people paint: an ellipse somewhere in the photograph, small, middling or large."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HOLES = {
    "small": "A small hole: an ellipse of an eighth of the sides",
    "large": "A large hole: an ellipse of half the sides",
}
SHARES = {"small": 1 / 8, "large": 1 / 2}


def hole_in(shape: tuple[int, ...], kind: str, number: int) -> npt.NDArray[np.bool_]:
    """The hole [H, W] of photograph `number`: always the same one."""
    height, width = shape[:2]
    generator = np.random.default_rng((number, sorted(HOLES).index(kind)))
    across, down = SHARES[kind] * width / 2, SHARES[kind] * height / 2
    column = generator.uniform(1.2 * across, width - 1.2 * across)
    row = generator.uniform(1.2 * down, height - 1.2 * down)
    y, x = np.mgrid[:height, :width]
    return np.asarray(((x - column) / across) ** 2 + ((y - row) / down) ** 2 <= 1)
