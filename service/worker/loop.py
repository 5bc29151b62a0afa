"""A worker's life: claim a job, fill its picture, hand the result in; drain when told to stop.

One failing job never ends the worker. Owns no pixels (fill.py) and no leases (lease.py).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from service import telemetry
from service.contracts import Failure, Result, Status
from service.engine.base import Engine
from service.errors import InpaintError, JobCancelled, Unavailable
from service.queue.consumer import Claim, QueueConsumer
from service.settings import Settings
from service.worker.fill import Watch, fill_picture
from service.worker.lease import Hold, LeaseKeeper

logger = logging.getLogger(__name__)

CLAIM_WAIT = 0.5  # seconds that a claim waits for a wake; a stop is seen at the latest then
QUEUE_RETRY = 0.5  # seconds between two tries while the queue does not answer
STALLED_AFTER = 120.0  # seconds without a step or a claim; longer than any stage of a fair-sized job


class Worker:
    """Takes jobs of one engine's model from one queue, one at a time."""

    def __init__(self, settings: Settings, consumer: QueueConsumer, engine: Engine) -> None:
        self._settings = settings
        self._consumer = consumer
        self._engine = engine
        self.keeper = LeaseKeeper(consumer, settings)
        self._stopping = threading.Event()
        self._drained_by = float("inf")
        self._ready = False
        self._moved_at = monotonic()

    @property
    def ready(self) -> bool:
        """Whether jobs are being taken and the one that runs, if any, moves."""
        moves = monotonic() - self._moved_at < STALLED_AFTER
        return self._ready and moves and not self._stopping.is_set()

    def run(self) -> None:
        """Take jobs until `stop`. Raises `QueueUnavailable` if the queue is not there at the start."""
        self._consumer.register()
        self.keeper.start()
        self._tell_ready(True)
        try:
            while not self._stopping.is_set():
                self._moved_at = monotonic()
                for claim in self._claim():
                    self._work(claim)
        finally:
            self._tell_ready(False)
            self.keeper.stop()
            self._leave()

    def stop(self, *, drain: bool = True) -> None:
        """Claim nothing more. What runs may finish within the drain time; without `drain` it goes back.

        Safe in a signal handler, and may be repeated.
        """
        wanted = monotonic() + (self._settings.drain_timeout if drain else 0)
        self._drained_by = min(self._drained_by, wanted)
        self._stopping.set()

    def _leave(self) -> None:
        try:
            self._consumer.close()
        except Unavailable as error:
            logger.warning("left without a word to the queue", extra={"error": error.detail})

    def _tell_ready(self, ready: bool) -> None:
        self._ready = ready
        telemetry.set_worker_ready(ready)

    def _claim(self) -> list[Claim]:
        try:
            return self._consumer.claim([self._engine.info.model], limit=1, wait=CLAIM_WAIT)
        except Unavailable as error:
            logger.warning("no claim: the queue does not answer or is full", extra={"error": error.detail})
            self._stopping.wait(QUEUE_RETRY)
            return []

    def _work(self, claim: Claim) -> None:
        logger.info("job started", extra={"job": claim.job.id, "attempt": claim.attempt})
        with self.keeper.hold(claim) as hold:
            try:
                result = self._fill(hold)
            except JobCancelled:
                self._put_down(hold)
            except InpaintError as error:
                self._fail(claim, Failure(error.code, error.detail))
            except Exception:
                logger.exception("a job failed by a fault of ours", extra={"job": claim.job.id})
                detail = "The picture could not be filled, by a fault of ours. Try again."
                self._fail(claim, Failure("internal", detail))
            else:
                self._finish(claim, result)

    def _fill(self, hold: Hold) -> Result:
        job = hold.claim.job
        watch = Watch(
            on_step=self._observe_step,
            stop=lambda: hold.broken or monotonic() >= self._drained_by,
        )
        result = fill_picture(
            self._engine, job.image, job.mask, job.params, max_pixels=self._settings.max_pixels, watch=watch
        )
        return replace(result, stages={"queue": hold.claim.queued_seconds, **result.stages})

    def _observe_step(self, _done: int, _total: int, items: int, seconds: float) -> None:
        self._moved_at = monotonic()
        telemetry.observe_step(items, seconds)

    def _finish(self, claim: Claim, result: Result) -> None:
        if self._deliver(claim, lambda: self._consumer.finish(claim, result)):
            telemetry.count_job(Status.SUCCEEDED)
            telemetry.observe_result(result, claim.job.params.priority)

    def _fail(self, claim: Claim, failure: Failure) -> None:
        logger.info("job failed", extra={"job": claim.job.id, "code": failure.code})
        if self._deliver(claim, lambda: self._consumer.fail(claim, failure)):
            telemetry.count_job(Status.FAILED)

    def _put_down(self, hold: Hold) -> None:
        """A run was stopped: drop the job if it is not ours, else put it back, attempt not counted."""
        if hold.broken:
            return
        logger.info("job put back at the end of the drain time", extra={"job": hold.claim.job.id})
        self._deliver(hold.claim, lambda: self._consumer.release(hold.claim))

    def _deliver(self, claim: Claim, send: Callable[[], bool]) -> bool:
        """Send what became of a job; where the queue does not take it, again until lease or drain time end.

        After that the job is left to its lease: another attempt at it is made, and this worker goes on.
        """
        give_up = min(monotonic() + self._settings.lease, self._drained_by)
        while True:
            try:
                accepted = send()
            except InpaintError as error:
                trouble = {"job": claim.job.id, "error": error.detail}
                logger.warning("the queue did not take what became of a job", extra=trouble)
                if monotonic() >= give_up:
                    return False
                time.sleep(QUEUE_RETRY)
            else:
                if not accepted:
                    logger.info("a job was taken from us in the meantime", extra={"job": claim.job.id})
                return accepted
