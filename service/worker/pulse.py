"""What the device does and since when, told to the other threads without a lock: slow or hung, moving or not.

Two threads call the device: one steps, one runs the VAE beside it. A slow device keeps its jobs, a hung one loses them
to workers that move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from time import monotonic

PATIENCE = 10.0  # how many times its expected duration a device call may last before it counts as hung
MOVES_WITHIN = 15.0  # seconds; a worker that does less often anything is not ready


class Lane(Enum):
    """Whose call it is. Each lane has one at a time."""

    STEP = "step"
    VAE = "vae"


@dataclass(slots=True, eq=False)
class DeviceCall:
    """A call in flight: when it began, on the local clock, the seconds it is expected to take, and whether one of the
    other lane was in flight at the same time.
    """

    began: float
    expected: float
    beside: bool = False


class Pulse:
    """Each lane's entry is written by its own thread, as a whole; every thread reads them."""

    def __init__(self, lease: float, clock: Callable[[], float] = monotonic) -> None:
        self._lease = lease
        self._clock = clock
        self._calls: dict[Lane, DeviceCall | None] = dict.fromkeys(Lane)
        self._moved_at = clock()

    def beat(self) -> None:
        """Say that the worker goes on."""
        self._moved_at = self._clock()

    @contextmanager
    def device_call(self, expected: float, lane: Lane = Lane.STEP) -> Iterator[DeviceCall]:
        """The block is one call of the device, profiled at `expected` seconds."""
        call = DeviceCall(self._clock(), expected)
        self._calls[lane] = (
            call  # before the look at the others: of two that begin at once, the later sees both
        )
        for other in self._in_flight:
            if other is not call:
                other.beside = call.beside = True
        try:
            yield call
        finally:
            self._calls[lane] = None
            self.beat()

    @property
    def keeps_leases(self) -> bool:
        """Whether the jobs of this worker should be held: no call lasts longer than the lease and ten times its
        profiled duration.
        """
        return all(self._age(call) <= self._patience(call) for call in self._in_flight)

    @property
    def hung(self) -> bool:
        """Whether a call has outlived even the leases that were last renewed for it."""
        return any(self._age(call) > self._patience(call) + self._lease for call in self._in_flight)

    @property
    def moves(self) -> bool:
        """Whether no call is overdue and, where none is in flight, the worker went on lately."""
        calls = self._in_flight
        if not calls:
            return self._clock() - self._moved_at <= MOVES_WITHIN
        return all(self._age(call) <= max(MOVES_WITHIN, PATIENCE * call.expected) for call in calls)

    @property
    def _in_flight(self) -> list[DeviceCall]:
        return [call for call in self._calls.values() if call is not None]

    def _age(self, call: DeviceCall) -> float:
        return self._clock() - call.began

    def _patience(self, call: DeviceCall) -> float:
        return max(self._lease, PATIENCE * call.expected)
