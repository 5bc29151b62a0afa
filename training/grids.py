"""Pictures to compare methods by eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.cases import Case
from training.photos import Pixels


def grid_row(case: Case, results: Sequence[Pixels]) -> Pixels:
    """Photograph, hole in white, then every method's result, side by side: [h, w * (2 + methods), 3]."""
    holed = np.where(case.hole[..., None], np.uint8(255), case.photo)
    return np.concatenate([case.photo, holed, *results], axis=1)
