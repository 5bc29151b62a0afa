"""The simulated device: the dummy backend, whose step takes a stated time as a function of its batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from service.worker.profile import BatchProfile


@dataclass(frozen=True, slots=True)
class Curve:
    """Seconds of a step: `step_seconds` whatever the batch, and `item_seconds` for each item in it."""

    name: str
    step_seconds: float
    item_seconds: float

    def seconds(self, batch: int) -> float:
        """Of one step."""
        return self.step_seconds + self.item_seconds * batch

    def chosen_batch(self, max_batch: int) -> int:
        """The batch that a worker chooses when it has profiled this curve in doublings up to `max_batch`."""
        sizes = [size for size in (1, 2, 4, 8, 16, 32) if size < max_batch] + [max_batch]
        return BatchProfile({size: self.seconds(size) for size in sizes}, 0.0, 0.0).cap

    def capacity(self, steps: Sequence[int], max_batch: int) -> float:
        """Pictures a second with full batches: b / (mean steps x seconds(b)), b the batch that is chosen."""
        batch = self.chosen_batch(max_batch)
        return batch / (fmean(steps) * self.seconds(batch))

    def text(self) -> str:
        """The formula in milliseconds."""
        return f"{self.name}: {self.step_seconds * 1000:g} ms + {self.item_seconds * 1000:g} ms x batch"


FLAT = Curve("flat", 0.020, 0.0)
NEAR_LINEAR = Curve("near-linear", 0.004, 0.016)
