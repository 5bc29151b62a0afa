"""The engine as a worker calls it: timed, watched, in batches that fit, one item's fault kept to its job.

Out of memory: the VAE is run beside steps no more; then the cap is halved once; when that is not enough the process
must end, and a fresh one starts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from time import monotonic, perf_counter
from typing import Any, Final, Generic, TypeVar

import numpy as np

from service import telemetry
from service.contracts import Failure
from service.engine.base import Array, DeviceOutOfMemory, Engine
from service.engine.inpaint import begin_item, reads_image
from service.worker.batch import Item
from service.worker.busy_time import BusyTime
from service.worker.failures import NOT_FINITE, TOO_LARGE_FOR_DEVICE, failure_of
from service.worker.live_profile import LiveProfile
from service.worker.pulse import DeviceCall, Lane, Pulse

logger = logging.getLogger(__name__)

MOST_FAILED_JOBS = 4  # one after the other with no such call that works in between: then it is not the jobs
MEMORY_EVERY = 1.0  # seconds between two looks at the device's memory

Outcome = TypeVar("Outcome")


class Postponed(Enum):
    """What came of an item for which there was no memory beside the other lane's call: it is to be tried again."""

    NO_ROOM_BESIDE = "no room beside another call"


POSTPONED: Final = Postponed.NO_ROOM_BESIDE


class DeviceError(Exception):
    """The device can't be used by this process any more; by a fresh one it may."""


class DeviceMemoryError(DeviceError):
    """Even half of the batch that once fitted does not fit any more."""


class _NoRoomBeside(Exception):  # noqa: N818 - named as what happened, like the engine's own
    """The device had no memory for a call beside that of the other lane."""


@dataclass(frozen=True, slots=True)
class _Stage(Generic[Outcome]):
    """A kind of call, and the seconds that it is `expected` to take by the size of its batch."""

    name: str
    lane: Lane
    call: Callable[[Sequence[Item]], Sequence[Outcome]]
    expected: Callable[[int], float]


class Device:
    """One engine under its profile. Every call answers for each item what came of it, or its failure.

    Each raises `DeviceError` where the process should end. `begin` and `step` belong to the step loop's thread,
    `encode` and `decode` to the VAE's. `overlaps`: the two may be in calls at the same time.
    """

    def __init__(self, engine: Engine, profile: LiveProfile, pulse: Pulse, *, overlaps: bool = False) -> None:
        self.overlaps = overlaps
        self._engine = engine
        self._profile = profile
        self._pulse = pulse
        self._busy = BusyTime()
        self._room: int | None = None  # most items that there is memory for, once that was short
        self._failed_jobs: dict[str, set[str]] = {}
        self._memory_at = 0.0

    @property
    def cap(self) -> int:
        """Most items that a step may hold now."""
        return self._profile.cap if self._room is None else min(self._room, self._profile.cap)

    def encode(self, item: Item) -> Any | Failure | Postponed:
        """The encoded crop of an item."""

        def encode(some: Sequence[Item]) -> list[Any]:
            with_image = reads_image(item.table)
            started = perf_counter()
            encoded = self._engine.encode([one.tile for one in some], with_image=with_image)
            if not with_image:
                self._profile.observe_encode(perf_counter() - started)
            return encoded

        stage = _Stage("encode", Lane.VAE, encode, lambda batch: batch * self._profile.encode_seconds)
        return self._isolated(stage, [item])[0]

    def begin(self, items: Sequence[Item]) -> list[Failure | Postponed | None]:
        """Give each item its first state, from its encoded crop."""

        def begin(some: Sequence[Item]) -> list[None]:
            for item in some:
                encoded = item.job.encoded[item.view]
                item.state = begin_item(
                    self._engine, encoded, item.table, seed=item.seed, crop=item.crop, place=item.place
                )
            return [None] * len(some)

        return self._isolated(_Stage("begin", Lane.STEP, begin, lambda _: 0.0), items)

    def step(self, items: Sequence[Item]) -> list[Failure | Postponed | None]:
        """One denoising step of every item, each by its own row."""

        def step(some: Sequence[Item]) -> list[None]:
            started = perf_counter()
            self._engine.step([item.state for item in some], [item.row for item in some])
            seconds = perf_counter() - started
            telemetry.observe_step(len(some), seconds)
            self._profile.observe_step(len(some), seconds)
            return [None] * len(some)

        return self._isolated(_Stage("step", Lane.STEP, step, self._profile.expected_step), items)

    def decode(self, item: Item) -> Array | Failure | Postponed:
        """The fill [3, s, s] of an item; a picture that is not finite is a failure."""

        def decode(some: Sequence[Item]) -> list[Array]:
            started = perf_counter()
            pictures = list(self._engine.decode([one.state for one in some]))
            self._profile.observe_decode(perf_counter() - started)
            return pictures

        stage = _Stage("decode", Lane.VAE, decode, lambda batch: batch * self._profile.decode_seconds)
        (fill,) = self._isolated(stage, [item])
        return fill if isinstance(fill, Failure | Postponed) or np.isfinite(fill).all() else NOT_FINITE

    def preview(self, item: Item) -> Callable[[], Array] | None:
        """What tells the colours that an item's last step implied, in any thread; None of a model without previews."""
        return self._engine.preview(item.state)

    def tell_memory(self) -> None:
        """Tell the metrics how much memory is in use, now and then."""
        if monotonic() >= self._memory_at:
            self._memory_at = monotonic() + MEMORY_EVERY
            telemetry.set_device_memory(self._engine.memory_bytes())

    def _isolated(self, stage: _Stage[Outcome], items: Sequence[Item]) -> list[Outcome | Failure | Postponed]:
        """Outcomes by item. Items of a batch that failed are tried once more, each alone."""
        outcomes: list[Outcome | Failure | Postponed] = []
        while len(outcomes) < len(items):
            batch = items[len(outcomes) : len(outcomes) + self.cap]
            try:
                done: Sequence[Outcome] = self._timed(stage, batch)
                outcomes += done
            except _NoRoomBeside:
                outcomes += [POSTPONED] * len(batch)
            except DeviceOutOfMemory:
                if len(batch) > 1:
                    self._halve_cap(len(batch))
                else:
                    outcomes.append(TOO_LARGE_FOR_DEVICE)
            except Exception:
                jobs = sorted({item.job_id for item in batch})
                words = {"stage": stage.name, "items": len(batch), "jobs": jobs}
                logger.exception("a device call failed; its items are tried alone", extra=words)
                for item in batch:
                    outcome: Outcome | Failure | Postponed = self._alone(stage, item)
                    outcomes.append(outcome)
        self._judge(stage.name, items, outcomes)
        return outcomes

    def _alone(self, stage: _Stage[Outcome], item: Item) -> Outcome | Failure | Postponed:
        try:
            return self._timed(stage, [item])[0]
        except _NoRoomBeside:
            return POSTPONED
        except DeviceOutOfMemory:
            return TOO_LARGE_FOR_DEVICE
        except Exception as error:
            return failure_of(error, item.job.claim.job)

    def _timed(self, stage: _Stage[Outcome], batch: Sequence[Item]) -> Sequence[Outcome]:
        expected = stage.expected(len(batch))
        with self._busy.call(), self._pulse.device_call(expected, stage.lane) as in_flight:
            try:
                return stage.call(batch)
            except DeviceOutOfMemory as error:
                telemetry.count_oom()
                self._blame_the_neighbour(in_flight, error)
                raise

    def _blame_the_neighbour(self, in_flight: DeviceCall, error: DeviceOutOfMemory) -> None:
        """Memory was short beside the other lane's call: there may be enough for one call at a time."""
        if in_flight.beside:
            if self.overlaps:
                logger.warning("the device is out of memory; the VAE is not run beside steps from now on")
            self.overlaps = False
            raise _NoRoomBeside from error

    def _halve_cap(self, batch: int) -> None:
        if self._room is not None:
            raise DeviceMemoryError(f"The device has no memory for {batch} items, with a cap halved before.")
        self._room = max(1, batch // 2)
        logger.warning("the device is out of memory; smaller batches from now on", extra={"cap": self.cap})

    def _judge(self, stage: str, items: Sequence[Item], outcomes: Sequence[object]) -> None:
        """Tell a device that fails every job from jobs that fail: it would fail all that come.

        Each stage for itself: one whose steps all fail may encode well.
        """
        failed = self._failed_jobs.setdefault(stage, set())
        if not all(isinstance(outcome, Failure) for outcome in outcomes):
            failed.clear()
            return
        failed.update(item.job_id for item in items)
        if len(failed) >= MOST_FAILED_JOBS:
            raise DeviceError(f"{len(failed)} jobs in a row failed in {stage}, where no call worked.")
