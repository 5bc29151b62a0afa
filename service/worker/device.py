"""The engine as the step loop calls it: timed, watched, in batches that fit, one item's fault kept to its job.

Out of memory: the cap is halved once; when that is not enough the process must end, and a fresh one starts.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from time import monotonic, perf_counter
from typing import Any, TypeVar

import numpy as np

from service import telemetry
from service.contracts import Failure
from service.engine.base import Array, DeviceOutOfMemory, Engine
from service.engine.inpaint import begin_item
from service.worker.batch import Item
from service.worker.failures import NOT_FINITE, TOO_LARGE_FOR_DEVICE, failure_of
from service.worker.profile import BatchProfile
from service.worker.pulse import Pulse

logger = logging.getLogger(__name__)

MOST_FAILED_JOBS = 4  # one after the other with no such call that works in between: then it is not the jobs
MEMORY_EVERY = 1.0  # seconds between two looks at the device's memory

Outcome = TypeVar("Outcome")
Call = Callable[[Sequence[Item]], Sequence[Outcome]]


class DeviceError(Exception):
    """The device can't be used by this process any more; by a fresh one it may."""


class DeviceMemoryError(DeviceError):
    """Even half of the batch that once fitted does not fit any more."""


class Device:
    """One engine under its profile. Every call answers for each item what came of it, or its failure.

    Each raises `DeviceError` where the process should end. Belongs to the step loop's thread.
    """

    def __init__(self, engine: Engine, profile: BatchProfile, pulse: Pulse, cap: int) -> None:
        self.cap = cap
        self._engine = engine
        self._profile = profile
        self._pulse = pulse
        self._halved = False
        self._failed_jobs: defaultdict[str, set[str]] = defaultdict(set)
        self._memory_at = 0.0

    def encode(self, items: Sequence[Item], *, with_image: bool) -> list[Any | Failure]:
        """The encoded crop of each item."""

        def encode(some: Sequence[Item]) -> list[Any]:
            return self._engine.encode([item.tile for item in some], with_image=with_image)

        return self._isolated("encode", encode, items, lambda batch: batch * self._profile.encode_seconds)

    def begin(self, items: Sequence[Item]) -> list[Failure | None]:
        """Give each item its first state, from its encoded crop."""

        def begin(some: Sequence[Item]) -> list[None]:
            for item in some:
                job = item.job
                encoded, table = job.encoded[item.crop], job.prepared_parts.table
                item.state = begin_item(self._engine, encoded, table, seed=item.seed, crop=item.crop)
            return [None] * len(some)

        return self._isolated("begin", begin, items, lambda _: 0.0)

    def step(self, items: Sequence[Item]) -> list[Failure | None]:
        """One denoising step of every item, each by its own row."""

        def step(some: Sequence[Item]) -> list[None]:
            started = perf_counter()
            self._engine.step([item.state for item in some], [item.row for item in some])
            telemetry.observe_step(len(some), perf_counter() - started)
            return [None] * len(some)

        return self._isolated("step", step, items, self._profile.expected_step)

    def decode(self, items: Sequence[Item]) -> list[Array | Failure]:
        """The fill [3, s, s] of each item; a picture that is not finite is a failure."""

        def decode(some: Sequence[Item]) -> list[Array]:
            return list(self._engine.decode([item.state for item in some]))

        fills = self._isolated("decode", decode, items, lambda batch: batch * self._profile.decode_seconds)
        return [
            fill if isinstance(fill, Failure) or np.isfinite(fill).all() else NOT_FINITE for fill in fills
        ]

    def tell_memory(self) -> None:
        """Tell the metrics how much memory is in use, now and then."""
        if monotonic() >= self._memory_at:
            self._memory_at = monotonic() + MEMORY_EVERY
            telemetry.set_device_memory(self._engine.memory_bytes())

    def _isolated(
        self, stage: str, call: Call[Outcome], items: Sequence[Item], expected: Callable[[int], float]
    ) -> list[Outcome | Failure]:
        """Outcomes by item. Items of a batch that failed are tried once more, each alone."""
        outcomes: list[Outcome | Failure] = []
        while len(outcomes) < len(items):
            batch = items[len(outcomes) : len(outcomes) + self.cap]
            try:
                outcomes += self._timed(call, batch, expected)
            except DeviceOutOfMemory:
                telemetry.count_oom()
                if len(batch) > 1:
                    self._halve_cap(len(batch))
                else:
                    outcomes.append(TOO_LARGE_FOR_DEVICE)
            except Exception:
                jobs = sorted({item.job_id for item in batch})
                words = {"items": len(batch), "jobs": jobs}
                logger.exception("a device call failed; its items are tried alone", extra=words)
                outcomes += [self._alone(call, item, expected) for item in batch]
        self._judge(stage, items, outcomes)
        return outcomes

    def _alone(self, call: Call[Outcome], item: Item, expected: Callable[[int], float]) -> Outcome | Failure:
        try:
            return self._timed(call, [item], expected)[0]
        except DeviceOutOfMemory:
            telemetry.count_oom()
            return TOO_LARGE_FOR_DEVICE
        except Exception as error:
            return failure_of(error, item.job.claim.job)

    def _timed(
        self, call: Call[Outcome], batch: Sequence[Item], expected: Callable[[int], float]
    ) -> Sequence[Outcome]:
        started = perf_counter()
        try:
            with self._pulse.device_call(expected(len(batch))):
                return call(batch)
        finally:
            telemetry.add_device_busy(perf_counter() - started)

    def _halve_cap(self, batch: int) -> None:
        if self._halved:
            raise DeviceMemoryError(f"The device has no memory for {batch} items, with a cap halved before.")
        self._halved = True
        self.cap = max(1, batch // 2)
        logger.warning("the device is out of memory; smaller batches from now on", extra={"cap": self.cap})

    def _judge(self, stage: str, items: Sequence[Item], outcomes: Sequence[object]) -> None:
        """Tell a device that fails every job from jobs that fail: it would fail all that come.

        Each stage for itself: one whose steps all fail may encode well.
        """
        failed = self._failed_jobs[stage]
        if not all(isinstance(outcome, Failure) for outcome in outcomes):
            failed.clear()
            return
        failed.update(item.job_id for item in items)
        if len(failed) >= MOST_FAILED_JOBS:
            raise DeviceError(f"{len(failed)} jobs in a row failed in {stage}, where no call worked.")
