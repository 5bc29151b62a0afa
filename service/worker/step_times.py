"""Medians of what steps took lately, by their batch size. Knows no clock: it counts steps."""

from __future__ import annotations

from collections import defaultdict, deque
from statistics import median

KEPT = 31  # of each size: steps that were disturbed do not show in their median, and two medians compare well
FEWEST = 7  # that tell of a size
HORIZON = 500  # steps; what is older may have been on a busier or an idler machine


class StepTimes:
    """Written by one thread."""

    def __init__(self) -> None:
        self._steps = 0
        self._times: defaultdict[int, deque[tuple[int, float]]] = defaultdict(lambda: deque(maxlen=KEPT))

    def observe(self, batch: int, seconds: float) -> None:
        """A step of `batch` items took that long."""
        self._steps += 1
        self._times[batch].append((self._steps, seconds))

    def recent(self, *batches: int) -> dict[int, float]:
        """The median of each of these sizes that enough of the last steps had."""
        found: dict[int, float] = {}
        for batch in batches:
            times = [seconds for step, seconds in self._of(batch) if self._steps - step < HORIZON]
            if len(times) >= FEWEST:
                found[batch] = median(times)
        return found

    def known(self) -> dict[int, float]:
        """The median of every size that has been seen often enough, however long ago."""
        return {
            batch: median(seconds for _, seconds in times)
            for batch, times in sorted(self._times.items())
            if len(times) >= FEWEST
        }

    def _of(self, batch: int) -> deque[tuple[int, float]]:
        return self._times[batch] if batch in self._times else deque()
