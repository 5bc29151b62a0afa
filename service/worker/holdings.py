"""What a worker holds, as all its threads see it: claims, news of their progress, and what is to be delivered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from time import monotonic

from service.contracts import Preview, Progress
from service.queue.consumer import Claim
from service.worker.delivery import Delivery


class Holdings:
    """Thread-safe; its lock is held for moments only, never while the queue is asked.

    A job is held from its claim until it is delivered or let go; meanwhile it becomes a delivery, once. Of its
    previews the newest is kept until there is progress to tell it with.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[str, Claim] = {}
        self._progress: dict[str, Progress] = {}
        self._previews: dict[str, Preview] = {}
        self._steps: dict[str, int] = {}
        self._deliveries: list[Delivery] = []

    @property
    def job_ids(self) -> tuple[str, ...]:
        """Of all jobs held, in whatever stage."""
        return tuple(claim.job.id for claim in self.claims())

    def claims(self) -> list[Claim]:
        """All claims, those to be delivered included: their leases are to be renewed."""
        with self._lock:
            return [*self._claims.values(), *(delivery.claim for delivery in self._deliveries)]

    def hold(self, claims: Iterable[Claim]) -> None:
        """Take jobs in."""
        with self._lock:
            self._claims.update((claim.job.id, claim) for claim in claims)

    def let_go(self, job_id: str) -> Claim | None:
        """Hold a job no longer, and answer its claim; None where it is not held, or is already to be delivered."""
        with self._lock:
            return self._remove(job_id)

    def note(self, job_id: str, progress: Progress) -> None:
        """Keep the last word on a job's progress for the next report. A preview may come late, when a later step has
        been told: then it waits for the next one.
        """
        with self._lock:
            if job_id not in self._claims:
                return
            if progress.preview is not None:
                self._previews[job_id] = progress.preview
            if progress.preview is None or progress.step >= self._steps.get(job_id, 0):
                self._steps[job_id] = progress.step
                self._progress[job_id] = progress

    def reports(self) -> list[tuple[Claim, Progress | None]]:
        """The jobs that are worked on, each with what is new since the last call."""
        with self._lock:
            return [(claim, self._news(job_id)) for job_id, claim in self._claims.items()]

    def settle(self, job_id: str, delivery_of: Callable[[Claim], Delivery]) -> None:
        """Make a held job a delivery; nothing where it is not held any more."""
        with self._lock:
            claim = self._remove(job_id)
            if claim is not None:
                self._deliveries.append(delivery_of(claim))

    def settle_all(self, delivery_of: Callable[[Claim], Delivery]) -> None:
        """Make every job that is still worked on a delivery."""
        for claim in self.claims():
            self.settle(claim.job.id, delivery_of)

    def due(self) -> Delivery | None:
        """The first delivery whose time has come."""
        with self._lock:
            now = monotonic()
            return next((delivery for delivery in self._deliveries if delivery.due <= now), None)

    def delivered(self, delivery: Delivery) -> bool:
        """A delivery has been made, or given up; False where its job has been claimed again in the meantime."""
        with self._lock:
            self._deliveries.remove(delivery)
            return delivery.job_id not in self._claims

    def _news(self, job_id: str) -> Progress | None:
        progress = self._progress.pop(job_id, None)
        return progress and replace(progress, preview=self._previews.pop(job_id, None))

    def _remove(self, job_id: str) -> Claim | None:
        self._progress.pop(job_id, None)
        self._previews.pop(job_id, None)
        self._steps.pop(job_id, None)
        return self._claims.pop(job_id, None)
