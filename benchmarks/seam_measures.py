"""How well a fill goes on where the photograph ends: the step at its edge, its tone, and its sharpness."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Bytes8 = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

DEEP = 4  # pixels inside a hole from which on its edge plays no part
RING = 8  # pixels on either side of the edge that are compared in tone
SURROUNDINGS = 32  # pixels around the hole that its fill should be as sharp as
SECTORS = 8  # directions from the hole's middle in which tones are compared: light changes along a hole
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Seam:
    """`edge`: the mean gradient along the contour around the hole where it is largest, over the mean gradient inside
    the hole. `tone`: levels of 255 between the rings on both sides of the edge, a direction. `sharpness`: the mean
    |Laplacian| inside the hole over that around it.
    """

    edge: float
    tone: float
    sharpness: float

    @classmethod
    def mean(cls, seams: list[Seam]) -> Seam:
        """The mean of each of at least one."""
        return cls(*np.mean([astuple(seam) for seam in seams], axis=0).tolist())


def measure_seam(picture: Bytes8, mask: Flags, reach: int) -> Seam:
    """Of a picture [H, W, 3] with a fill in `mask` [H, W]. The fill may have been blended up to `reach` pixels further
    out: its edge is looked for from the mask's own on up to there.
    """
    window = _window(mask, reach + SURROUNDINGS + 2)
    mask, colors = mask[window], picture[window].astype(np.float64)
    luminance: Floats = colors @ LUMINANCE
    distance = ndimage.distance_transform_edt(~mask) - ndimage.distance_transform_edt(
        mask
    )  # [h, w], < 0 inside
    deep = distance < -DEEP
    around = (distance > reach + 2) & (distance <= reach + SURROUNDINGS)
    gradient = np.hypot(*np.gradient(luminance))
    contours = [(distance > at - 1) & (distance <= at + 1) for at in range(reach + 1)]
    steepest = max(gradient[contour].mean() for contour in contours)
    detail = np.abs(ndimage.laplace(luminance))
    return Seam(
        edge=float(steepest / max(gradient[deep].mean(), 1e-6)),
        tone=_tone(colors, mask, distance, reach),
        sharpness=float(detail[deep].mean() / max(detail[around].mean(), 1e-6)),
    )


def _window(mask: Flags, margin: int) -> tuple[slice, slice]:
    """The hole's box with a margin: all that counts, of however large a picture."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _tone(colors: Floats, mask: Flags, distance: Floats, reach: int) -> float:
    """Mean over directions and channels of |inner ring's mean - outer ring's mean|."""
    inner = (distance >= -RING) & (distance < 0)
    outer = (distance > reach) & (distance <= reach + RING)
    rows, columns = np.meshgrid(*map(np.arange, mask.shape), indexing="ij")
    middle_row, middle_column = rows[mask].mean(), columns[mask].mean()
    angles = np.arctan2(rows - middle_row, columns - middle_column)
    sectors = ((angles / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
    differences = [
        np.abs(
            colors[inner & (sectors == sector)].mean(axis=0)
            - colors[outer & (sectors == sector)].mean(axis=0)
        )
        for sector in range(SECTORS)
        if (inner & (sectors == sector)).any() and (outer & (sectors == sector)).any()
    ]
    return float(np.mean(differences))
