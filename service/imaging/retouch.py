"""The two calls that a worker makes: `prepare` turns uploads into tiles, `finish` turns fills into a file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from service.contracts import Box, Params
from service.errors import EmptyMask
from service.imaging.color import ColorConverter, converter_for
from service.imaging.compose import matched, region_patch
from service.imaging.crop_count import planned_regions
from service.imaging.decode import decode_picture
from service.imaging.encode import EncodedPicture, encode_picture, output_format
from service.imaging.feather import SoftHole, soft_hole
from service.imaging.mask import decode_mask
from service.imaging.native import with_patches
from service.imaging.picture import Flags, Picture
from service.imaging.regions import Region
from service.imaging.tiles import Floats, TileCrop, cut_tile


@dataclass(frozen=True, slots=True)
class Retouch:
    """A job between its two calls. Read-only: `finish` may be called for several candidates, also from
    threads.
    """

    picture: Picture
    hole: SoftHole
    regions: tuple[Region, ...]
    crops: tuple[TileCrop, ...]
    converter: ColorConverter

    @property
    def tiles(self) -> tuple[tuple[Floats, Floats], ...]:
        """For each crop the image [3, s, s] in [-1, 1] and the mask [s, s], 1 = fill."""
        return tuple((crop.image, crop.mask) for crop in self.crops)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The crops in pixels of the picture, in the order of `tiles`."""
        return tuple(crop.box for region in self.regions for crop in region.crops)

    @property
    def effective_mask(self) -> Flags:
        """The pixels [H, W] that `finish` may change: the mask grown and feathered."""
        return self.hole.flags(self.picture.size)


def prepare(image: bytes, mask: bytes, params: Params, *, model_size: int, max_pixels: int) -> Retouch:
    """Decode picture and mask, plan the crops and cut their tiles of `model_size` pixels (a multiple of 8).

    Raises every `InvalidPicture`, and `InvalidParameter` if the output format can't hold the picture.
    """
    picture = decode_picture(image, max_pixels=max_pixels)
    output_format(picture, params.output_format)
    flags = decode_mask(mask, picture.size, params.mask_polarity, max_pixels=max_pixels)
    hole = _visible(soft_hole(flags, params.dilate, params.feather), picture)
    effective = hole.flags(picture.size)
    regions = planned_regions(effective, params, model_size)
    converter, notes = converter_for(picture)
    crops = tuple(
        cut_tile(picture, converter, effective, crop, model_size)
        for region in regions
        for crop in region.crops
    )
    return Retouch(replace(picture, notes=picture.notes + notes), hole, regions, crops, converter)


def finish(retouch: Retouch, fills: npt.NDArray[np.float32], params: Params) -> EncodedPicture:
    """Compose one candidate's fills [crops, 3, s, s] in [-1, 1] into the picture and encode it."""
    if params.color_match:
        toned = [matched(fill, crop) for fill, crop in zip(fills, retouch.crops, strict=True)]
    else:
        toned = list(fills)
    patches, position = [], 0
    for region in retouch.regions:
        of_region = toned[position : position + len(region.crops)]
        patches.append(region_patch(retouch.picture, retouch.converter, retouch.hole, region, of_region))
        position += len(region.crops)
    return encode_picture(with_patches(retouch.picture, patches), params)


def _visible(hole: SoftHole, picture: Picture) -> SoftHole:
    """The hole without the picture's fully transparent pixels: alpha stays, so a fill could not be seen
    there.

    Raises `EmptyMask` if nothing is left.
    """
    opacity = picture.opacity(hole.box)
    if opacity is None:
        return hole
    alpha = np.where(opacity > 0, hole.alpha, 0).astype(np.uint8)
    if not alpha.any():
        raise EmptyMask(
            "The mask covers only fully transparent pixels, which stay transparent. Mask a visible part, or "
            "remove "
            "the alpha channel first."
        )
    return SoftHole(hole.box, alpha)
