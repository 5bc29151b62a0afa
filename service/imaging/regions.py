"""Which parts of the picture the model is shown: connected holes -> merged boxes -> square crops around them.

Pure geometry on boxes; no pixel of the picture is read here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from service.contracts import MAX_CROPS, Box, Strategy
from service.imaging.feather import bounding_box, dilated
from service.imaging.picture import Flags

CELL = 8  # pixels; holes closer than that are one
MIN_CONTEXT = 128
SLENDER = 4  # a hole longer than that times its width is tiled along its length
NEIGHBOURS = np.ones((3, 3), np.bool_)


@dataclass(frozen=True, slots=True)
class Crop:
    """One view for the model. `box` lies inside the picture; where it is smaller than `side` x `side` the
    tile is padded. `core` is the part of the hole that is pasted from this crop.
    """

    box: Box
    core: Box
    side: int


@dataclass(frozen=True, slots=True)
class Region:
    """A hole, or several close ones, and the crops that fill it, in reading order; neighbours' cores
    overlap.
    """

    hole: Box
    crops: tuple[Crop, ...]


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
    resolution.
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
            regions = tuple(planner.region(box) for box in planner.joined(boxes))
            if len(regions) == 1 or sum(len(region.crops) for region in regions) <= MAX_CROPS:
                return regions
        gap = max(1, 2 * gap)


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


def _disjoint(spans: list[Span], shape: tuple[int, ...]) -> list[Span]:
    """Merge rectangles that touch until none do."""
    while True:
        painted = np.zeros(shape, np.bool_)
        for span in spans:
            painted[span] = True
        labels, count = ndimage.label(painted, structure=NEIGHBOURS)
        spans_merged: list[Span] = ndimage.find_objects(labels)
        if count == len(spans):
            return spans_merged
        spans = spans_merged


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

    def side(self, hole: Box) -> int:
        """Side of the square crops for a hole, in pixels of the picture."""
        shorter, longer = sorted((hole.width, hole.height))
        reach = min(longer, max(SLENDER * shorter, self.model_size // 2))
        if self.context is not None:
            wanted = reach + 2 * self.context
        else:
            wanted = reach + 2 * max(MIN_CONTEXT, reach // 2)
            if reach + 2 * (self.model_size // 4) <= self.model_size:
                wanted = self.model_size
        return max(self.model_size, min(wanted, self.width, self.height))

    def joined(self, boxes: list[Box]) -> list[Box]:
        """Join boxes whose common crop is no larger than a crop of one of them: fewer crops, as sharp."""
        index = 0
        while index < len(boxes):
            partner = self._partner(boxes, index)
            if partner is None:
                index += 1
            else:
                boxes, index = _absorbed(boxes, _union(boxes[index], boxes[partner])), 0
        return boxes

    def _partner(self, boxes: list[Box], index: int) -> int | None:
        for other in range(index + 1, len(boxes)):
            first, second = boxes[index], boxes[other]
            union = _union(first, second)
            side = max(self.side(first), self.side(second))
            if max(union.width, union.height) < side and self.side(union) <= side:
                return other
        return None

    def region(self, hole: Box) -> Region:
        """Crops over one hole: a single square, or overlapping ones where it is too wide for that."""
        side = self.side(hole)
        while True:
            columns = _spans(hole.left, hole.right, min(side, self.width), self.width)
            rows = _spans(hole.top, hole.bottom, min(side, self.height), self.height)
            if len(columns) * len(rows) <= MAX_CROPS:
                break
            side *= 2
        crops = tuple(
            Crop(
                Box(column.start, row.start, column.end, row.end),
                Box(column.core_start, row.core_start, column.core_end, row.core_end),
                side,
            )
            for row in rows
            for column in columns
        )
        return Region(hole, crops)


@dataclass(frozen=True, slots=True)
class _Interval:
    """One crop along one axis: what it sees, and what of the hole it is pasted to."""

    start: int
    end: int
    core_start: int
    core_end: int


def _spans(start: int, end: int, length: int, extent: int) -> list[_Interval]:
    """Intervals of `length` inside [0, extent) whose cores cover the hole [start, end).

    Several overlap by at least a quarter; the quarter of the overlap next to a crop's end is not pasted,
    because there the model saw context on one side only.
    """
    if end - start <= length:
        first = min(max((start + end - length) // 2, 0), extent - length)
        return [_Interval(first, first + length, start, end)]
    overlap = length // 4
    low = max(0, start - length // 8)
    high = min(extent, end + length // 8)
    count = -(-(high - low - overlap) // (length - overlap))
    firsts = np.rint(np.linspace(low, high - length, count)).astype(int).tolist()
    trim = overlap // 4
    return [
        _Interval(
            first,
            first + length,
            max(start, first + trim if index else first),
            min(end, first + length - (trim if index < count - 1 else 0)),
        )
        for index, first in enumerate(firsts)
    ]


def _union(first: Box, second: Box) -> Box:
    return Box(
        min(first.left, second.left),
        min(first.top, second.top),
        max(first.right, second.right),
        max(first.bottom, second.bottom),
    )


def _absorbed(boxes: list[Box], union: Box) -> list[Box]:
    """`boxes` with all that overlap `union` drawn into it, until the boxes are disjoint."""
    while overlapping := [box for box in boxes if _overlap(box, union)]:
        boxes = [box for box in boxes if not _overlap(box, union)]
        for box in overlapping:
            union = _union(union, box)
    return [union, *boxes]


def _overlap(first: Box, second: Box) -> bool:
    return (
        first.left < second.right
        and second.left < first.right
        and first.top < second.bottom
        and second.top < first.bottom
    )
