"""Cutting crops for the model: sRGB, padded by edge replication, made smaller by area, never stretched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from service.contracts import Box
from service.imaging.area import AreaMeans
from service.imaging.area import Floats as Floats
from service.imaging.color import ColorConverter
from service.imaging.crops import LATENT_CELL, Crop
from service.imaging.native import colors_of
from service.imaging.picture import Flags, Picture
from service.imaging.tone import ToneMembrane

STRIP = 2**18  # pixels that are worked on at a time: they stay in the cache, and floats of them are few


@dataclass(frozen=True)
class TileCrop:
    """`image` [3, s, s] in [-1, 1] and `mask` [s, s], 1 = fill, as the model gets them; `known` [s, s] flags
    what is photo: neither hole nor padding.
    """

    image: Floats
    mask: Floats
    known: Flags

    @cached_property
    def membrane(self) -> ToneMembrane:
        """What tone matching needs of the hole's shape, the same for all candidates."""
        return ToneMembrane(self.mask > 0, self.known)


def cut_tile(
    picture: Picture, converter: ColorConverter, effective: Flags, crop: Crop, model_size: int
) -> TileCrop:
    """The tile of one crop. `effective` is the effective mask [H, W].

    The hole is widened to whole latent cells (any pixel of 8 x 8), for the model alone.
    """
    box = crop.box
    means = AreaMeans(crop.side, box.height, box.width, model_size)
    for part in strips(box):
        means.add(part.top - box.top, _values(picture, converter, effective, part))
    small = means.means  # [s, s, 4 or 5]
    colors = small[..., :3] if small.shape[2] == 4 else _behind_clear(small[..., :3], small[..., 4])
    cells = (
        (small[..., 3] > 0).reshape(model_size // LATENT_CELL, LATENT_CELL, -1, LATENT_CELL).any(axis=(1, 3))
    )
    mask = cells.repeat(LATENT_CELL, axis=0).repeat(LATENT_CELL, axis=1)
    known = ~mask
    known[-(-box.height * model_size // crop.side) :] = False
    known[:, -(-box.width * model_size // crop.side) :] = False
    image = np.ascontiguousarray(np.moveaxis(colors / 127.5 - 1, 2, 0), dtype=np.float32)  # [3, s, s]
    return TileCrop(image, mask.astype(np.float32), known)


def strips(box: Box) -> Iterator[Box]:
    """The box in full rows of at most STRIP pixels."""
    height = max(1, STRIP // box.width)
    for top in range(box.top, box.bottom, height):
        yield Box(box.left, top, box.right, min(top + height, box.bottom))


def _values(picture: Picture, converter: ColorConverter, effective: Flags, part: Box) -> Floats:
    """SRGB and the hole of a part of the picture, [h, w, 4]; of one with transparency [h, w, 5], the last what is
    visible, and black where nothing is.
    """
    srgb = converter.to_srgb(colors_of(picture, part)).astype(np.float32)  # [h, w, 3]
    hole = effective[part.top : part.bottom, part.left : part.right].astype(np.float32)
    opacity = picture.opacity(part)
    if opacity is None:
        return np.dstack([srgb, hole])
    visible = (opacity > 0).astype(np.float32)
    return np.dstack([srgb * visible[..., None], hole, visible])


def _behind_clear(colors: Floats, visible: Floats) -> Floats:
    """Fully transparent pixels, whose colour means nothing, take that of the nearest visible one: from means
    [s, s, 3] in which they count as black, and the share [s, s] of the others.
    """
    clear = visible == 0
    shown = (colors / np.where(clear, 1, visible)[..., None]).astype(np.float32)
    if not clear.any() or clear.all():
        return shown
    nearest = ndimage.distance_transform_edt(clear, return_distances=False, return_indices=True)
    filled: Floats = shown[nearest[0], nearest[1]]
    return filled
