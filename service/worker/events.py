"""What other threads tell the step loop. It reads them between two steps; nobody ever waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from service.contracts import Failure
from service.engine.base import Array
from service.queue.consumer import Claim
from service.worker.batch import Item, Prepared, Refined
from service.worker.device import DeviceError, Postponed


@dataclass(frozen=True, slots=True)
class JobsClaimed:
    """The feeder's claim number `number` brought jobs, or the order to drain, `at` a time of the local clock."""

    number: int
    claims: tuple[Claim, ...]
    drain: bool
    at: float


@dataclass(frozen=True, slots=True)
class JobPrepared:
    """A picture is decoded: the job's items may join."""

    job_id: str
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class JobRefined:
    """A candidate's fine tiles are cut: their items may join."""

    job_id: str
    refined: Refined


@dataclass(frozen=True, slots=True)
class JobBroken:
    """A picture could not be decoded or encoded."""

    job_id: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class JobLeft:
    """The job is no longer held: delivered, given back, cancelled, expired, or another worker's."""

    job_id: str


@dataclass(frozen=True, slots=True)
class FeederEnded:
    """The feeder died of `error`: nothing reaches the queue any more."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class CropEncoded:
    """What came of an item's crop in the VAE, in `seconds`; `waited` counts from when it was given to it."""

    item: Item
    outcome: Any | Failure | Postponed
    seconds: float
    waited: float


@dataclass(frozen=True, slots=True)
class ItemDecoded:
    """What came of a finished item in the VAE, in `seconds`: its fill [3, s, s]."""

    item: Item
    outcome: Array | Failure | Postponed
    seconds: float


@dataclass(frozen=True, slots=True)
class VaeDropped:
    """The VAE left out an item whose job had failed or left."""


@dataclass(frozen=True, slots=True)
class VaeEnded:
    """The VAE's thread has ended by `error`: this process should, too."""

    error: DeviceError


@dataclass(frozen=True, slots=True)
class Nudge:
    """Look up: somebody wants the loop to stop, or jobs may be claimed again."""


Event = (
    JobsClaimed
    | JobPrepared
    | JobRefined
    | JobBroken
    | JobLeft
    | CropEncoded
    | ItemDecoded
    | VaeDropped
    | VaeEnded
    | FeederEnded
    | Nudge
)


class Inbox:
    """The loop's mail. `put` may be called from any thread and from a signal handler."""

    def __init__(self) -> None:
        self._events: SimpleQueue[Event] = SimpleQueue()

    def put(self, event: Event) -> None:
        """Leave an event; never blocks."""
        self._events.put(event)

    def take(self, wait: float) -> list[Event]:
        """What has come, in order; waits up to `wait` seconds for the first."""
        events: list[Event] = []
        try:
            if wait > 0:
                events.append(self._events.get(timeout=wait))
            while True:
                events.append(self._events.get_nowait())
        except Empty:
            return events
