"""What the step loop does and since when, told to the other threads without a lock: slow or hung, moving or not.

A slow device keeps its jobs, a hung one loses them to workers that move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

PATIENCE = 10.0  # how many times its expected duration a device call may last before it counts as hung
MOVES_WITHIN = 15.0  # seconds; a loop that does less often anything is not ready


@dataclass(frozen=True, slots=True)
class DeviceCall:
    """A call in flight: when it began, on the local clock, and the seconds it is expected to take."""

    began: float
    expected: float


class Pulse:
    """Written by the step loop, read by every thread; each attribute is replaced as a whole."""

    def __init__(self, lease: float, clock: Callable[[], float] = monotonic) -> None:
        self._lease = lease
        self._clock = clock
        self._call: DeviceCall | None = None
        self._moved_at = clock()

    def beat(self) -> None:
        """Say that the loop goes on."""
        self._moved_at = self._clock()

    @contextmanager
    def device_call(self, expected: float) -> Iterator[None]:
        """The block is one call of the device, profiled at `expected` seconds."""
        self._call = DeviceCall(self._clock(), expected)
        try:
            yield
        finally:
            self._call = None
            self.beat()

    @property
    def keeps_leases(self) -> bool:
        """Whether the jobs of this worker should be held: no call lasts longer than the lease and ten times its
        profiled duration.
        """
        call = self._call
        return call is None or self._clock() - call.began <= self._patience(call)

    @property
    def hung(self) -> bool:
        """Whether a call has outlived even the leases that were last renewed for it."""
        call = self._call
        return call is not None and self._clock() - call.began > self._patience(call) + self._lease

    @property
    def moves(self) -> bool:
        """Whether the loop went on lately, for the call it is in."""
        call = self._call
        within = MOVES_WITHIN if call is None else max(MOVES_WITHIN, PATIENCE * call.expected)
        return self._clock() - self._moved_at <= within

    def _patience(self, call: DeviceCall) -> float:
        return max(self._lease, PATIENCE * call.expected)
