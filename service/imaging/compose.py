"""Pasting fills back: tone matched on the ring around the hole, brought to native resolution, feathered in.

All arithmetic rounds; where alpha is 0 the picture's values come out as they went in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from service.contracts import Box
from service.imaging.color import ColorConverter
from service.imaging.crops import Crop, Region
from service.imaging.fade import Fade
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
        fade = Fade.of(crop, region)
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
