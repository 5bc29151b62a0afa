"""Which parts of the picture the model is shown: connected holes -> merged boxes -> square crops around them.

Pure geometry on boxes; no pixel of the picture is read here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from service.contracts import MAX_CROPS, Box, Strategy
from service.imaging.crops import Crop, Region
from service.imaging.feather import bounding_box, dilated
from service.imaging.fine_tiles import LARGE, MOST_TILES, fine_tiles
from service.imaging.picture import Flags
from service.imaging.spans import spans

CELL = 8  # pixels; holes closer than that are one
MIN_CONTEXT = 128
SLENDER = (
    4  # a hole longer than that times its thickness is tiled along its length, at the model's resolution
)
SLENDER_CROPS = 8  # at most, for one slender hole: one batch of a small worker; its tiles grow instead
NEIGHBOURS = np.ones((3, 3), np.bool_)


def plan_regions(
    mask: Flags,
    *,
    model_size: int,
    strategy: Strategy = Strategy.AUTO,
    context: int | None = None,
) -> tuple[Region, ...]:
    """Regions that cover the mask [H, W], which has at least one set flag; at most MAX_CROPS crops in all.

    A crop's side is the hole's plus twice the context (default: 128 px, or half the hole's side if that is
    more), at least `model_size`, at most the picture's shorter side unless that is below `model_size`. A
    default context shrinks, down to a quarter of `model_size`, where that lets the crop stay at native
    resolution. A slender hole, however bent, is tiled: what counts is its thickness, not the box around it.
    A hole that is still much larger than the model gets `fine` tiles beside its crops.
    """
    planner = _Planner(mask.shape[1], mask.shape[0], model_size, context)
    if strategy is Strategy.RESIZE:
        return (planner.whole(bounding_box(mask)),)
    frame = bounding_box(mask)
    inside = mask[frame.top : frame.bottom, frame.left : frame.right]
    cells = _pooled(inside)
    gap = 0
    while True:
        boxes = [_moved(_tight(inside, span), frame) for span in _hole_spans(cells, gap)]
        if len(boxes) <= MAX_CROPS:
            holes = [_Hole(box, _thickness(_pooled(_within(mask, box)))) for box in boxes]
            holes = planner.joined(holes)
            regions = tuple(planner.region(hole, _within(mask, hole.box)) for hole in holes)
            if len(regions) == 1 or sum(len(region.crops) for region in regions) <= MAX_CROPS:
                return planner.refined(regions, holes, mask)
        gap = max(1, 2 * gap)


@dataclass(frozen=True, slots=True)
class _Hole:
    """The box around a hole, and how thick its thickest part is, in pixels."""

    box: Box
    thickness: int


def _thickness(cells: Flags) -> int:
    """Pixels across the largest disc inside a hole, from its CELL x CELL flags."""
    distance = ndimage.distance_transform_edt(np.pad(cells, 1))
    return round((2 * float(distance.max()) - 1) * CELL)


def _within(mask: Flags, box: Box) -> Flags:
    return mask[box.top : box.bottom, box.left : box.right]


Span = tuple[slice, slice]


def _hole_spans(cells: Flags, gap: int) -> list[Span]:
    """Disjoint rectangles of cells around the holes; those nearer than `gap` cells (each way) share one."""
    grown = dilated(cells, gap)
    labels, _ = ndimage.label(grown, structure=NEIGHBOURS)
    labels[~cells] = 0
    return _disjoint([span for span in ndimage.find_objects(labels) if span is not None], cells.shape)


def _tight(flags: Flags, span: Span) -> Box:
    """The box around the set flags within a rectangle of cells."""
    left, top = span[1].start * CELL, span[0].start * CELL
    tight = bounding_box(flags[top : span[0].stop * CELL, left : span[1].stop * CELL])
    return Box(left + tight.left, top + tight.top, left + tight.right, top + tight.bottom)


def _moved(box: Box, frame: Box) -> Box:
    return Box(box.left + frame.left, box.top + frame.top, box.right + frame.left, box.bottom + frame.top)


def _pooled(flags: Flags) -> Flags:
    """Flags of CELL x CELL pixels: set where any of theirs is."""
    rows = np.arange(0, flags.shape[0], CELL)
    columns = np.arange(0, flags.shape[1], CELL)
    return np.logical_or.reduceat(np.logical_or.reduceat(flags, rows, axis=0), columns, axis=1)


def _disjoint(rectangles: list[Span], shape: tuple[int, ...]) -> list[Span]:
    """Merge rectangles that touch until none do."""
    while True:
        painted = np.zeros(shape, np.bool_)
        for rectangle in rectangles:
            painted[rectangle] = True
        labels, count = ndimage.label(painted, structure=NEIGHBOURS)
        merged: list[Span] = ndimage.find_objects(labels)
        if count == len(rectangles):
            return merged
        rectangles = merged


@dataclass(frozen=True, slots=True)
class _Planner:
    """Crops for holes of one picture of `width` x `height` pixels."""

    width: int
    height: int
    model_size: int
    context: int | None

    def whole(self, hole: Box) -> Region:
        """The one crop of the resize strategy."""
        box = Box(0, 0, self.width, self.height)
        return Region(hole, (Crop(box, hole, max(self.width, self.height, self.model_size)),))

    def side(self, hole: _Hole) -> int:
        """Side of the square crops for a hole, in pixels of the picture."""
        reach = self._reach(hole)
        if self.context is not None:
            wanted = reach + 2 * self.context
        else:
            wanted = reach + 2 * max(MIN_CONTEXT, reach // 2)
            if reach + 2 * (self.model_size // 4) <= self.model_size:
                wanted = self.model_size
        return max(self.model_size, min(wanted, self.width, self.height))

    def _reach(self, hole: _Hole) -> int:
        """Pixels of the hole that one crop should span: all, or of a slender one a piece."""
        longer = max(hole.box.width, hole.box.height)
        return min(longer, max(2 * hole.thickness, self.model_size // 2)) if _is_slender(hole) else longer

    def joined(self, holes: list[_Hole]) -> list[_Hole]:
        """Join holes whose common crop is no larger than a crop of one of them: fewer crops, as sharp."""
        index = 0
        while index < len(holes):
            partner = self._partner(holes, index)
            if partner is None:
                index += 1
            else:
                holes, index = _absorbed(holes, _union(holes[index], holes[partner])), 0
        return holes

    def _partner(self, holes: list[_Hole], index: int) -> int | None:
        for other in range(index + 1, len(holes)):
            first, second = holes[index], holes[other]
            union = _union(first, second)
            side = max(self.side(first), self.side(second))
            if max(union.box.width, union.box.height) < side and self.side(union) <= side:
                return other
        return None

    def region(self, hole: _Hole, flags: Flags) -> Region:
        """Crops over one hole of `flags` [h, w]: a single square, or overlapping ones where it is too wide for
        that or slender.
        """
        most = SLENDER_CROPS if _is_slender(hole) else MAX_CROPS
        side = self.side(hole)
        while len(crops := self._tiles(hole.box, side, flags)) > most:
            side += side // 4
        return Region(hole.box, crops)

    def refined(self, regions: Sequence[Region], holes: Sequence[_Hole], mask: Flags) -> tuple[Region, ...]:
        """The regions with fine tiles for the large holes among them, which share what may be spent by their area."""
        large = [self._reach(hole) > LARGE * self.model_size for hole in holes]
        area = sum(_area(hole.box) for hole, is_large in zip(holes, large, strict=True) if is_large)
        room = min(MOST_TILES, MAX_CROPS - sum(len(region.crops) for region in regions))
        return tuple(
            replace(region, fine=self._fine(region, mask, room * _area(region.hole) // area))
            if is_large
            else region
            for region, is_large in zip(regions, large, strict=True)
        )

    def _fine(self, region: Region, mask: Flags, most: int) -> tuple[Crop, ...]:
        return fine_tiles(
            region.hole,
            _within(mask, region.hole),
            (self.width, self.height),
            model_size=self.model_size,
            coarse_side=region.crops[0].side,
            most=most,
        )

    def _tiles(self, hole: Box, side: int, flags: Flags) -> tuple[Crop, ...]:
        """Squares of one side over a hole's box, without those that would paste nothing."""
        columns = spans(hole.left, hole.right, min(side, self.width), self.width)
        rows = spans(hole.top, hole.bottom, min(side, self.height), self.height)
        cores = [
            (row, column, Box(column.core_start, row.core_start, column.core_end, row.core_end))
            for row in rows
            for column in columns
        ]
        return tuple(
            Crop(Box(column.start, row.start, column.end, row.end), core, side)
            for row, column, core in cores
            if _within(flags, _moved(core, Box(-hole.left, -hole.top, 0, 0))).any()
        )


def _area(box: Box) -> int:
    return box.width * box.height


def _is_slender(hole: _Hole) -> bool:
    return max(hole.box.width, hole.box.height) > SLENDER * hole.thickness


def _union(first: _Hole, second: _Hole) -> _Hole:
    one, other = first.box, second.box
    box = Box(
        min(one.left, other.left),
        min(one.top, other.top),
        max(one.right, other.right),
        max(one.bottom, other.bottom),
    )
    return _Hole(box, max(first.thickness, second.thickness))


def _absorbed(holes: list[_Hole], union: _Hole) -> list[_Hole]:
    """`holes` with all that overlap `union` drawn into it, until their boxes are disjoint."""
    while overlapping := [hole for hole in holes if _overlap(hole.box, union.box)]:
        holes = [hole for hole in holes if not _overlap(hole.box, union.box)]
        for hole in overlapping:
            union = _union(union, hole)
    return [union, *holes]


def _overlap(first: Box, second: Box) -> bool:
    return (
        first.left < second.right
        and second.left < first.right
        and first.top < second.bottom
        and second.top < first.bottom
    )
