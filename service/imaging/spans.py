"""Crops along one axis: where they lie inside the picture, and which part of the hole each one is pasted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Interval:
    """One crop along one axis: what it sees, and what of the hole it is pasted to."""

    start: int
    end: int
    core_start: int
    core_end: int


def spans(start: int, end: int, length: int, extent: int) -> list[Interval]:
    """Intervals of `length` inside [0, extent) whose cores cover the hole [start, end).

    Several overlap by at least a quarter; the quarter of the overlap next to a crop's end is not pasted,
    because there the model saw context on one side only.
    """
    if end - start <= length:
        return [_only(start, end, length, extent)]
    low, high = _reach(start, end, length // 8, extent)
    count = _count(high - low, length)
    firsts = np.rint(np.linspace(low, high - length, count)).astype(int).tolist()
    return _with_cores(firsts, start, end, length)


def stepped_spans(start: int, end: int, length: int, extent: int, step: int) -> list[Interval]:
    """The same, a whole number of `step` pixels apart as far as the picture's end allows it, and with a quarter of
    `length` of context: neighbours see the same ground on the same grid. `length` is a multiple of 4 `step`.
    """
    low, high = _reach(start, end, length // 4, extent)
    if high - low <= length:
        return [_only(start, end, length, extent)]
    count = _count(high - low, length)
    stride = -(-(high - low - length) // ((count - 1) * step)) * step
    firsts = [min(low + index * stride, extent - length) for index in range(count)]
    return _with_cores(firsts, start, end, length)


def _only(start: int, end: int, length: int, extent: int) -> Interval:
    first = min(max((start + end - length) // 2, 0), extent - length)
    return Interval(first, first + length, start, end)


def _reach(start: int, end: int, context: int, extent: int) -> tuple[int, int]:
    return max(0, start - context), min(extent, end + context)


def _count(reach: int, length: int) -> int:
    """Intervals of `length` that cover `reach` pixels and overlap by a quarter."""
    overlap = length // 4
    return -(-(reach - overlap) // (length - overlap))


def _with_cores(firsts: list[int], start: int, end: int, length: int) -> list[Interval]:
    trim = length // 16
    last = len(firsts) - 1
    return [
        Interval(
            first,
            first + length,
            max(start, first + trim if index else first),
            min(end, first + length - (trim if index < last else 0)),
        )
        for index, first in enumerate(firsts)
    ]
