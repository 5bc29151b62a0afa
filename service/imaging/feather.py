"""From the user's mask to the soft hole that is pasted: grown, then faded out. Its support is the effective
mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from service.contracts import Box
from service.imaging.picture import Bytes8, Flags

SMALLEST_GROWTH, LARGEST_GROWTH = 3, 16
GROWTH_PER_SIDE = 1 / 200
GROWTH_PER_HOLE = 1 / 8


@dataclass(frozen=True, slots=True)
class SoftHole:
    """`alpha` [h, w] in `box` of the picture: 255 = the fill alone, 0 = untouched, as everything outside
    `box`.
    """

    box: Box
    alpha: Bytes8

    def flags(self, size: tuple[int, int]) -> Flags:
        """The effective mask [H, W] of a picture of `size` (width, height)."""
        width, height = size
        flags = np.zeros((height, width), np.bool_)
        box = self.box
        flags[box.top : box.bottom, box.left : box.right] = self.alpha > 0
        return flags

    def window(self, box: Box) -> Bytes8:
        """Alpha of `box`, which lies inside `self.box`."""
        rows = slice(box.top - self.box.top, box.bottom - self.box.top)
        return self.alpha[rows, box.left - self.box.left : box.right - self.box.left]


def soft_hole(mask: Flags, dilate: int | None, feather: int | None) -> SoftHole:
    """Grow a mask [H, W] by `dilate` pixels, then fade over `feather` more (rounded up to an even number).

    By default both are `automatic_growth`.
    """
    tight = bounding_box(mask)
    flags = mask[tight.top : tight.bottom, tight.left : tight.right]
    automatic = automatic_growth(mask.shape[1], mask.shape[0], int(np.count_nonzero(flags)))
    solid = automatic if dilate is None else dilate
    radius = ((automatic if feather is None else feather) + 1) // 2
    box = _grown(tight, solid + 2 * radius, mask.shape)
    grown = dilated(mask[box.top : box.bottom, box.left : box.right], solid + radius)
    # A box blur of the same radius gives the solid part back as exactly 255 and ends at exactly 0.
    alpha = Image.fromarray(grown.astype(np.uint8) * 255)
    if radius:
        alpha = alpha.filter(ImageFilter.BoxBlur(radius))
    return SoftHole(box, np.array(alpha))


def automatic_growth(width: int, height: int, hole_pixels: int) -> int:
    """Pixels to grow by, and to fade over: a 200th of the picture's longer side, but at most an eighth of the
    hole's side (root of its area), within 3 to 16: enough for the soft edge and the shadow line of an object.
    """
    wanted = min(GROWTH_PER_SIDE * max(width, height), GROWTH_PER_HOLE * math.sqrt(hole_pixels))
    return min(LARGEST_GROWTH, max(SMALLEST_GROWTH, round(wanted)))


def dilated(flags: Flags, radius: int) -> Flags:
    """Flags [h, w] grown by a square of 2 `radius` + 1 pixels."""
    for axis in (0, 1):
        flags = _dilated_along(flags, radius, axis)
    return flags


def _dilated_along(flags: Flags, radius: int, axis: int) -> Flags:
    """Doubling windows: log2(radius) passes of a bitwise or."""
    grown = np.moveaxis(flags, axis, 0)
    grown = np.pad(grown, ((radius, radius), (0, 0)))
    reach, wanted = 1, 2 * radius + 1
    while reach < wanted:
        step = min(reach, wanted - reach)
        grown = grown[:-step] | grown[step:]
        reach += step
    return np.moveaxis(grown, 0, axis)


def bounding_box(flags: Flags) -> Box:
    """The smallest box around the set flags, of which there is at least one."""
    rows = np.flatnonzero(flags.any(axis=1))
    columns = np.flatnonzero(flags[rows[0] : rows[-1] + 1].any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _grown(box: Box, by: int, shape: tuple[int, ...]) -> Box:
    return Box(
        max(0, box.left - by),
        max(0, box.top - by),
        min(shape[1], box.right + by),
        min(shape[0], box.bottom + by),
    )
