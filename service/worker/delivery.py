"""What became of a job, on its way to the queue: tried again until the queue takes it or nobody waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from service import telemetry
from service.contracts import Failure, Result, Status
from service.errors import InpaintError
from service.log_context import job_fields
from service.queue.consumer import Claim, QueueConsumer

logger = logging.getLogger(__name__)

LOST, UNDELIVERED = "lost", "undelivered"  # outcomes of an attempt whose end the queue did not take


@dataclass(slots=True, eq=False)
class Delivery:
    """`send` answers whether the job was still ours. `due` and `give_up` are times of the local clock. `outcome` is
    what becomes of the attempt, `error` the code of a failure.
    """

    claim: Claim
    outcome: str
    send: Callable[[], bool]
    on_accepted: Callable[[], None]
    due: float
    give_up: float
    error: str | None = None

    @property
    def job_id(self) -> str:
        """Id of the job."""
        return self.claim.job.id

    def settled(self, give_up: float, retry: float) -> bool:
        """Try once. False where it should be tried again, in `retry` seconds: the queue did not take it.

        From `give_up` on the job is left to its lease, and another attempt at it is made.
        """
        try:
            accepted = self.send()
        except Exception as error:
            self._tell(error)
            now = monotonic()
            self.due = now + retry
            if now >= give_up:
                self.outcome = UNDELIVERED
            return now >= give_up
        if accepted:
            self.on_accepted()
        else:
            self.outcome = LOST
            logger.info("a job was taken from us in the meantime", extra=job_fields(self.claim.job))
        return True

    def _tell(self, error: Exception) -> None:
        words = job_fields(self.claim.job)
        if isinstance(error, InpaintError):
            words["error"] = error.detail
            logger.warning("the queue did not take what became of a job", extra=words)
        else:
            logger.error("a fault of ours kept a job from its delivery", extra=words, exc_info=error)


def finishing(consumer: QueueConsumer, claim: Claim, result: Result, lease: float) -> Delivery:
    """A result."""

    def count() -> None:
        logger.info("job finished", extra=job_fields(claim.job))
        telemetry.count_job(Status.SUCCEEDED)
        telemetry.observe_result(result, claim.job.params.priority)

    return _delivery(claim, "succeeded", lambda: consumer.finish(claim, result), count, lease)


def failing(consumer: QueueConsumer, claim: Claim, failure: Failure, lease: float) -> Delivery:
    """A failure."""

    def count() -> None:
        logger.info("job failed", extra={**job_fields(claim.job), "code": failure.code})
        telemetry.count_job(Status.FAILED)

    delivery = _delivery(claim, "failed", lambda: consumer.fail(claim, failure), count, lease)
    delivery.error = failure.code
    return delivery


def releasing(consumer: QueueConsumer, claim: Claim, lease: float, *, counted: bool) -> Delivery:
    """A job put back; its attempt counts if `counted`."""

    def tell() -> None:
        logger.info("job put back", extra=job_fields(claim.job))

    return _delivery(claim, "released", lambda: consumer.release(claim, counted=counted), tell, lease)


def _delivery(
    claim: Claim, outcome: str, send: Callable[[], bool], on_accepted: Callable[[], None], lease: float
) -> Delivery:
    now = monotonic()
    return Delivery(claim, outcome, send, on_accepted, due=now, give_up=now + lease)
