"""Whether a picture is a photo with its hole filled, and nothing else changed."""

from __future__ import annotations

import numpy as np
from PIL import Image

from scripts.compose.waiting import require

LEAST_CHANGE = 5.0  # levels of 255, the mean in the hole: an untouched hole has 0, the demo's has about 50
RECODED = (
    3.0  # levels of 255, the mean outside: what another JPEG of the same pixels differs by, and a blended rim
)


def require_filled(filled: Image.Image, photo: Image.Image, mask: Image.Image, *, exact: bool) -> float:
    """How much the hole (white in the mask) has changed: the mean of its pixels' differences in levels of 255.

    Raises CheckError where the size is another one, the hole is as it was, or pixels outside have changed:
    any where the picture should be `exact`, or more than another compression explains.
    """
    require(filled.size == photo.size, f"The photo has {photo.size} pixels, the answer {filled.size}.")
    hole = np.asarray(mask.convert("L").resize(photo.size)) > 127  # [H, W]
    before, after = (np.asarray(each.convert("RGB"), np.int16) for each in (photo, filled))  # [H, W, 3]
    change = np.abs(after - before).mean(axis=2)  # [H, W]
    inside, outside = float(change[hole].mean()), float(change[~hole].mean())
    require(inside >= LEAST_CHANGE, f"The hole has changed by {inside:.1f} levels alone: it is not filled.")
    allowed = 0.0 if exact else RECODED
    require(
        outside <= allowed,
        f"The pixels outside the hole have changed by {outside:.2f} levels, {allowed:.0f} are allowed.",
    )
    return inside
