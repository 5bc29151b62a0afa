"""A worker's hold on what it runs: a thread that renews leases, sees cancels, and keeps us registered.

The step loop never waits for the queue; it asks `Hold.broken` between two steps.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from service.errors import InpaintError
from service.queue.consumer import Claim, QueueConsumer
from service.settings import Settings

logger = logging.getLogger(__name__)

CANCEL_POLL = 0.2  # seconds; well below the step of a large model


class Hold:
    """One claimed job while it runs. `broken` once it was cancelled, expired or given to another worker."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self._broken = threading.Event()

    @property
    def broken(self) -> bool:
        """Whether the result would be discarded."""
        return self._broken.is_set()

    def break_off(self) -> None:
        """Say that the job is no longer ours."""
        self._broken.set()


class LeaseKeeper:
    """The thread. Errors of the queue are logged and outlived: the lease bounds what they can do."""

    def __init__(self, consumer: QueueConsumer, settings: Settings) -> None:
        self._consumer = consumer
        self._settings = settings
        self._holds: dict[str, Hold] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; leases run out from here on."""
        self._stopped.set()
        self._thread.join()

    @contextmanager
    def hold(self, claim: Claim) -> Iterator[Hold]:
        """Keep `claim` alive inside the block."""
        held = Hold(claim)
        with self._lock:
            self._holds[claim.job.id] = held
        try:
            yield held
        finally:
            with self._lock:
                del self._holds[claim.job.id]

    def running(self) -> list[Hold]:
        """What is held now and still ours."""
        with self._lock:
            return [hold for hold in self._holds.values() if not hold.broken]

    def _keep(self) -> None:
        renew_at = 0.0
        while not self._stopped.wait(CANCEL_POLL):
            try:
                if monotonic() >= renew_at:
                    renew_at = monotonic() + self._settings.renew_every
                    self._renew()
                else:
                    self._watch_cancels()
            except InpaintError as error:
                logger.warning("the queue did not answer the lease thread", extra={"error": error.detail})
            except Exception:
                logger.exception("the lease thread met a fault of ours and goes on")

    def _renew(self) -> None:
        """Also while nothing runs: the queue's upkeep and our registration come with it."""
        holds = self.running()
        owned = {claim.job.id for claim in self._consumer.renew([hold.claim for hold in holds])}
        self._break(holds, {hold.claim.job.id for hold in holds} - owned)

    def _watch_cancels(self) -> None:
        holds = self.running()
        if holds:
            self._break(holds, self._consumer.cancelled([hold.claim for hold in holds]))

    def _break(self, holds: list[Hold], lost: set[str]) -> None:
        for hold in holds:
            if hold.claim.job.id in lost:
                logger.info("a running job is no longer ours", extra={"job": hold.claim.job.id})
                hold.break_off()
