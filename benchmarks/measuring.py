"""Times contenders in turn, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Name = TypeVar("Name")


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of some numbers."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """The spread of at least one value."""
        return cls(min(values), median(values), max(values))

    def times(self, factor: float) -> Spread:
        """In another unit."""
        return Spread(self.least * factor, self.median * factor, self.most * factor)

    def text(self, digits: int) -> str:
        """The median, and the ends in brackets."""
        return f"{self.median:.{digits}f} ({self.least:.{digits}f} - {self.most:.{digits}f})"


def seconds_in_turn(
    contenders: Mapping[Name, Callable[[], object]], rounds: int, *, at_least: float = 0.0
) -> dict[Name, list[float]]:
    """Seconds of a call of each contender in each of `rounds`, in each round one after the other; one more round
    before them warms up and is not counted. The order turns from round to round.

    A contender is called again until `at_least` seconds have passed, and the mean of its calls counts.
    """
    names = list(contenders)
    seconds: dict[Name, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in names if number % 2 else reversed(names):
            elapsed = _seconds_of_a_call(contenders[name], at_least)
            if number > 0:
                seconds[name].append(elapsed)
    return seconds


def _seconds_of_a_call(call: Callable[[], object], at_least: float) -> float:
    started, calls, elapsed = perf_counter(), 0, 0.0
    while not calls or elapsed < at_least:
        call()
        calls += 1
        elapsed = perf_counter() - started
    return elapsed / calls


def ratios(of: list[float], to: list[float]) -> Spread:
    """Round by round, how many times longer the first took."""
    return Spread.of([one / other for one, other in zip(of, to, strict=True)])


@dataclass(frozen=True)
class Percentiles:
    """Of durations, in their unit, interpolated between the two nearest."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles:
        """The percentiles of at least one value."""
        return cls(*map(float, np.percentile(values, (50, 95, 99))))


def spread_of(rounds: Sequence[T], value: Callable[[T], float]) -> Spread:
    """The spread of one number over the rounds."""
    return Spread.of([value(one) for one in rounds])
