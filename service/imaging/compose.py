"""Pasting fills back: tone matched on the ring around the hole, brought to native resolution, feathered in.

All arithmetic rounds; where alpha is 0 the picture's values come out as they went in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.contracts import Box
from service.imaging.color import ColorConverter
from service.imaging.crops import Crop, Region
from service.imaging.feather import SoftHole, dilated
from service.imaging.native import colors_of
from service.imaging.palette import Patch
from service.imaging.picture import Bytes8, Picture, Pixels
from service.imaging.tiles import Floats, TileCrop, strips
from service.imaging.tone import coarse_shift, ring_shift

RING = 16  # pixels at model scale: two latent cells
COARSE_BLUR = 2.0  # pixels of the first crop: what is larger than that, it has seen


def matched(fill: Floats, tile: TileCrop) -> Floats:
    """The fill [3, s, s] brought to the tone of the photo around the hole."""
    hole = tile.mask > 0
    ring = dilated(hole, RING) & tile.known
    level = fill + ring_shift(tile.image, fill, ring)[:, None, None]
    return level + tile.membrane.field(tile.image, level)


def matched_to_start(fill: Floats, tile: TileCrop, scale: float) -> Floats:
    """The fill [3, s, s] of a fine tile brought to the tone of what it started from: the first fill, whose pixels are
    `scale` of its own.
    """
    return fill + coarse_shift(tile.image, fill, tile.mask > 0, COARSE_BLUR * scale)


def region_patch(
    picture: Picture,
    converter: ColorConverter,
    hole: SoftHole,
    region: Region,
    fills: Sequence[Floats],
) -> Patch:
    """The new colours of one region, from its crops' fills, each [3, s, s] in [-1, 1].

    Where cores of crops overlap, the later one fades in over the earlier.
    """
    original = colors_of(picture, region.hole)
    result = original.copy()
    for crop, fill in zip(region.crops, fills, strict=True):
        fade = _Fade.of(crop, region)
        for part in strips(crop.core):
            rows = slice(part.top - region.hole.top, part.bottom - region.hole.top)
            columns = slice(part.left - region.hole.left, part.right - region.hole.left)
            native = converter.from_srgb(_at_native(fill, crop, part))
            pasted = blended(original[rows, columns], native, hole.window(part))
            result[rows, columns] = blended(result[rows, columns], pasted, fade.rows(part))
    return Patch(region.hole, result, hole.window(region.hole) > 0)


def blended(below: Pixels, above: Pixels, alpha: Bytes8) -> Pixels:
    """Mix below (1 - alpha / 255) + above alpha / 255, rounded: [h, w, C] of 8 or 16 bits, alpha [h, w]."""
    weight = alpha[..., None].astype(np.uint32)
    mixed = (below * (255 - weight) + above * weight + 127) // 255
    return mixed.astype(below.dtype)


def _at_native(fill: Floats, crop: Crop, part: Box) -> Floats:
    """`part` of a crop's fill [3, s, s] in [-1, 1] at the picture's resolution: [h, w, 3] in [0, 1]."""
    scale = fill.shape[1] / crop.side
    left, right = part.left - crop.box.left, part.right - crop.box.left
    top, bottom = part.top - crop.box.top, part.bottom - crop.box.top
    if fill.shape[1] == crop.side:
        channels = fill[:, top:bottom, left:right]
    else:
        frame = (left * scale, top * scale, right * scale, bottom * scale)
        size = (part.width, part.height)
        channels = np.stack(
            [
                np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BICUBIC, box=frame))
                for channel in np.ascontiguousarray(fill)
            ]
        )
    unit: Floats = np.clip((np.moveaxis(channels, 0, 2) + 1) / 2, 0, 1)
    return unit


@dataclass(frozen=True, slots=True)
class _Fade:
    """Weight of a crop over those before it: `down` [h] times `across` [w] of its core, ramps over the
    overlap with its upper and left neighbour.
    """

    core: Box
    down: npt.NDArray[np.float64]
    across: npt.NDArray[np.float64]

    @classmethod
    def of(cls, crop: Crop, region: Region) -> _Fade:
        core = crop.core
        down = _ramp(core.top, core.bottom, _reach(crop, region, horizontal=False))
        return cls(core, down, _ramp(core.left, core.right, _reach(crop, region, horizontal=True)))

    def rows(self, part: Box) -> Bytes8:
        """The weights [h, w] of a strip of the core, 255 = this crop alone."""
        down = self.down[part.top - self.core.top : part.bottom - self.core.top]
        return np.rint(255 * down[:, None] * self.across[None, :]).astype(np.uint8)


def _reach(crop: Crop, region: Region, *, horizontal: bool) -> int:
    """Where the core of the neighbour before this crop ends, along one axis; the crop's own start without
    one.
    """
    if horizontal:
        start = crop.core.left
        ends = [c.core.right for c in region.crops if c.core.top == crop.core.top and c.core.left < start]
    else:
        start = crop.core.top
        ends = [c.core.bottom for c in region.crops if c.core.left == crop.core.left and c.core.top < start]
    return max([start, *ends])


def _ramp(start: int, end: int, reach: int) -> npt.NDArray[np.float64]:
    """Weights of pixels start..end - 1: rising from 0 to 1 at `reach`, then 1."""
    positions = np.arange(start, end) + 0.5 - start
    return np.clip(positions / (reach - start), 0, 1) if reach > start else np.ones(end - start)
