"""The calls that a worker makes: `prepare` turns uploads into tiles, `finish` turns fills into a file; between them
`refine` cuts the fine tiles of large holes from a first fill.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from service.contracts import Box, Params
from service.errors import EmptyMask
from service.imaging.color import ColorConverter, converter_for
from service.imaging.compose import matched, matched_to_start, region_patch
from service.imaging.crop_count import planned_regions
from service.imaging.crops import NoiseWindow, Region
from service.imaging.decode import decode_picture
from service.imaging.encode import EncodedPicture, encode_picture, output_format
from service.imaging.feather import SoftHole, soft_hole
from service.imaging.fine_tiles import noise_windows
from service.imaging.mask import decode_mask
from service.imaging.native import with_patches
from service.imaging.palette import Patch
from service.imaging.picture import Flags, Picture
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
        """The crops in pixels of the picture: first in the order of `tiles`, then the fine tiles."""
        crops = [crop for region in self.regions for crop in region.crops]
        fine = [crop for region in self.regions for crop in region.fine]
        return tuple(crop.box for crop in (*crops, *fine))

    @property
    def refines(self) -> bool:
        """Whether some hole is so large that it is looked at once more, in fine tiles (`refine`)."""
        return self.fine_tiles > 0

    @property
    def fine_tiles(self) -> int:
        """How many fine tiles a candidate has."""
        return sum(len(region.fine) for region in self.regions)

    @property
    def effective_mask(self) -> Flags:
        """The pixels [H, W] that `finish` may change: the mask grown and feathered."""
        return self.hole.flags(self.picture.size)


@dataclass(frozen=True, slots=True)
class Refinement:
    """The second pass of one candidate: the first fills, and the fine tiles that were cut from what they made, with the
    place of each one's noise.
    """

    first_fills: npt.NDArray[np.float32]
    crops: tuple[TileCrop, ...]
    noise: tuple[NoiseWindow, ...]


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


def refine(retouch: Retouch, fills: npt.NDArray[np.float32], params: Params) -> Refinement:
    """The second pass of a candidate whose first fills are [crops, 3, s, s]; only where the retouch `refines`.

    The fine tiles show the photo with the first fill in its holes.
    """
    start = _painted(retouch, fills, params)
    effective = retouch.effective_mask
    model_size = fills.shape[-1]
    crops = tuple(
        cut_tile(start, retouch.converter, effective, crop, model_size)
        for region in retouch.regions
        for crop in region.fine
    )
    first = len(retouch.crops)  # the streams below are those of the first pass
    noise = tuple(
        window
        for index, region in enumerate(retouch.regions)
        for window in noise_windows(region.fine, model_size, first + index)
    )
    return Refinement(fills, crops, noise)


def finish(
    retouch: Retouch,
    fills: npt.NDArray[np.float32],
    params: Params,
    refinement: Refinement | None = None,
) -> EncodedPicture:
    """Compose one candidate's fills [crops, 3, s, s] in [-1, 1] into the picture and encode it. With a `refinement`
    they are those of its tiles.
    """
    return encode_picture(_painted(retouch, fills, params, refinement), params)


def _painted(
    retouch: Retouch, fills: npt.NDArray[np.float32], params: Params, refinement: Refinement | None = None
) -> Picture:
    """The picture with every hole filled: from the fine tiles where it has some, else from its first crops."""
    first = iter(_toned(retouch, fills if refinement is None else refinement.first_fills, params))
    fine = iter(() if refinement is None else _toned_fine(retouch, refinement, fills, params))
    patches: list[Patch] = []
    for region in retouch.regions:
        own, chosen = list(islice(first, len(region.crops))), region
        if refinement is not None and region.fine:
            own, chosen = list(islice(fine, len(region.fine))), replace(region, crops=region.fine)
        patches.append(region_patch(retouch.picture, retouch.converter, retouch.hole, chosen, own))
    return with_patches(retouch.picture, patches)


def _toned(retouch: Retouch, fills: npt.NDArray[np.float32], params: Params) -> list[Floats]:
    """The first fills, in the tone of the photo around the hole if that is asked for."""
    if not params.color_match:
        return list(fills)
    return [matched(fill, crop) for fill, crop in zip(fills, retouch.crops, strict=True)]


def _toned_fine(
    retouch: Retouch, refinement: Refinement, fills: npt.NDArray[np.float32], params: Params
) -> list[Floats]:
    """The fine fills, in the tone of the first ones if that is asked for."""
    if not params.color_match:
        return list(fills)
    scales = [region.crops[0].side / fine.side for region in retouch.regions for fine in region.fine]
    parts = zip(fills, refinement.crops, scales, strict=True)
    return [matched_to_start(fill, crop, scale) for fill, crop, scale in parts]


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
