"""A worker's profile as its calls really take: begun with what was measured at the start, kept true by what runs.

Read by every thread: what it says is replaced as a whole.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from statistics import median

from service.worker.cap import Cap, moved
from service.worker.profile import BatchProfile
from service.worker.step_times import FEWEST, KEPT, StepTimes

REFRESH = 10  # steps between two looks at all medians; a cap that moves is seen at once


class LiveProfile:
    """`current` is what the worker tells of itself; its cap is the settled one. `observe_step` belongs to the step
    loop's thread, `observe_encode` and `observe_decode` to the VAE's.
    """

    def __init__(self, measured: BatchProfile, most: int) -> None:
        """`most` places, as the settings allow."""
        sizes = measured.sizes or tuple(measured.step_seconds)
        self._sizes = tuple(sorted({min(size, most) for size in sizes}))
        self._measured = measured
        self._times = StepTimes()
        self._encodes: deque[float] = deque(maxlen=KEPT)
        self._decodes: deque[float] = deque(maxlen=KEPT)
        self._cap = Cap(min(measured.cap, most))
        self._until_refresh = REFRESH
        self.current = replace(measured, chosen=self._cap.settled)

    @property
    def cap(self) -> int:
        """Most items that the next step may hold: the settled cap, or one that is being tried."""
        return self._cap.places

    @property
    def encode_seconds(self) -> float:
        """Of one crop."""
        return self.current.encode_seconds

    @property
    def decode_seconds(self) -> float:
        """Of one crop."""
        return self.current.decode_seconds

    def expected_step(self, batch: int) -> float:
        """Seconds of a step."""
        return self.current.expected_step(batch)

    def prepare_steps(self, seconds: float) -> int:
        """Steps of a full batch that pass within `seconds`, rounded up."""
        return self.current.prepare_steps(seconds)

    def observe_step(self, batch: int, seconds: float) -> None:
        """A step of `batch` items took that long; moves the cap where it shows that another is better."""
        self._times.observe(batch, seconds)
        cap = self._cap
        near = [size for size in (cap.settled, cap.trial, *cap.neighbours(self._sizes)) if size is not None]
        self._cap = moved(cap, batch, self._times.recent(*near), self._sizes)
        self._until_refresh -= 1
        if self._until_refresh <= 0 or self._cap.settled != cap.settled:
            self._until_refresh = REFRESH
            self._refresh()

    def observe_encode(self, seconds: float) -> None:
        """Encoding a crop took that long."""
        self._encodes.append(seconds)

    def observe_decode(self, seconds: float) -> None:
        """Decoding a crop took that long."""
        self._decodes.append(seconds)

    def _refresh(self) -> None:
        self.current = replace(
            self._measured,
            step_seconds=_corrected(self._measured.step_seconds, self._times.known()),
            encode_seconds=_median_or(self._measured.encode_seconds, self._encodes),
            decode_seconds=_median_or(self._measured.decode_seconds, self._decodes),
            chosen=self._cap.settled,
        )


def _corrected(measured: dict[int, float], observed: dict[int, float]) -> dict[int, float]:
    """What was observed, and where nothing was, what was measured, in the proportion that the nearest size has that
    is known both ways: what slowed the start slowed all sizes.
    """
    both = [size for size in measured if size in observed]
    if not both:
        return {**measured, **observed}

    def scaled(size: int) -> float:
        nearest = min(both, key=lambda other: abs(other - size))
        return measured[size] * observed[nearest] / measured[nearest]

    return {**{size: scaled(size) for size in measured}, **observed}


def _median_or(measured: float, seconds: deque[float]) -> float:
    """Of a copy: another thread may add to it."""
    seen = list(seconds)
    return median(seen) if len(seen) >= FEWEST else measured
