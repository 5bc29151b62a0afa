"""How many items a step may hold, found from the steps that really run: pure, without clock or device.

What was measured at the start may have been on a busy machine, and sizes above the cap never run by themselves. So now
and then, while steps are full, the next larger size is tried for a few steps; it stays if it does more a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from service.worker.profile import GAIN_OF_A_LONG_STEP, LONG, items_a_second

# Of throughput, over the next smaller size: to go up it must be more than what a cap needs to stay, so that noise
# between the two moves nothing.
GAIN_TO_RISE = 1.10
GAIN_TO_STAY = 1.02
FIRST_WAIT = 50  # steps before the first trial, and between two that succeed
TRIAL = 40  # steps that a trial may last where too few of them are full
PAUSE = 500  # steps after a trial that failed; doubled with each, up to the longest
LONGEST_PAUSE = 20_000


@dataclass(frozen=True, slots=True)
class Cap:
    """`settled` is what has proved best, `trial` a larger size that is being tried. `wait`: steps until the next
    trial may begin, or that are left of this one. `pause`: the wait after the next one that fails.
    """

    settled: int
    trial: int | None = None
    wait: int = FIRST_WAIT
    pause: int = PAUSE

    @property
    def places(self) -> int:
        """Most items of the next step."""
        return self.settled if self.trial is None else self.trial

    def neighbours(self, sizes: Sequence[int]) -> tuple[int | None, int | None]:
        """The next smaller and the next larger of the sizes."""
        smaller = max((size for size in sizes if size < self.settled), default=None)
        return smaller, min((size for size in sizes if size > self.settled), default=None)


def moved(cap: Cap, batch: int, step_seconds: Mapping[int, float], sizes: Sequence[int]) -> Cap:
    """The cap after one more step, of `batch` items. `step_seconds` are medians of recent steps, of the sizes that
    had enough of them; `sizes`, ascending, are those that a cap may have.
    """
    cap = replace(cap, wait=max(0, cap.wait - 1))
    if cap.trial is not None:
        return _judged(cap, cap.trial, step_seconds)
    smaller, larger = cap.neighbours(sizes)
    gain = None if smaller is None else _gain(smaller, cap.settled, step_seconds)
    if smaller is not None and gain is not None and gain < GAIN_TO_STAY:
        return _after_failure(cap, smaller)
    is_full = batch == cap.settled and cap.settled in step_seconds
    if larger is not None and is_full and cap.wait == 0:
        return replace(cap, trial=larger, wait=TRIAL)
    return cap


def _judged(cap: Cap, trial: int, step_seconds: Mapping[int, float]) -> Cap:
    """A trial ends when enough of its steps were full, or when it has lasted long enough without."""
    gain = _gain(cap.settled, trial, step_seconds)
    if gain is None:
        return cap if cap.wait > 0 else replace(cap, trial=None, wait=cap.pause)
    needed = GAIN_OF_A_LONG_STEP if step_seconds[trial] > LONG else GAIN_TO_RISE
    if gain >= needed:
        return Cap(trial, None, FIRST_WAIT, cap.pause)
    return _after_failure(cap, cap.settled)


def _after_failure(cap: Cap, settled: int) -> Cap:
    """Larger sizes are not tried for a while, and for twice as long the next time: so the cap comes to rest."""
    return Cap(settled, None, cap.pause, min(2 * cap.pause, LONGEST_PAUSE))


def _gain(smaller: int, larger: int, step_seconds: Mapping[int, float]) -> float | None:
    """How many times as much the larger size does a second; None where one of the two is not known."""
    if smaller not in step_seconds or larger not in step_seconds:
        return None
    return items_a_second(larger, step_seconds[larger]) / items_a_second(smaller, step_seconds[smaller])
