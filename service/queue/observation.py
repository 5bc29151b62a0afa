"""What a client sees of a job: lua/observe.lua's answer, and the status or error that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.contracts import TERMINAL, Failure, JobStatus, Status
from service.errors import InpaintError, error_for

REASONS = {
    Status.CANCELLED: (
        "job_cancelled",
        "The job was cancelled. Send it again if you still want the picture.",
    ),
    Status.EXPIRED: (
        "job_expired",
        "The job's deadline passed before its picture was ready. Try again, or allow more time (`timeout`).",
    ),
    Status.DEAD_LETTERED: (
        "job_dead_lettered",
        "The job was given up after {attempts} attempts, as each time the worker that ran it was lost. "
        "Try a smaller picture or fewer candidates.",
    ),
}


@dataclass(frozen=True, slots=True)
class Observation:
    """A job at `now`. Times are Unix seconds of the queue's clock."""

    now: float
    status: JobStatus

    @property
    def ended(self) -> bool:
        """Whether the job's status will never change again."""
        return self.status.status in TERMINAL

    @property
    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self.status.deadline - self.now

    def error(self) -> InpaintError:
        """The error that an ended job without result is for its client."""
        failure = self.status.failure or Failure("internal", "The job ended without a reason.")
        return error_for(failure.code, failure.detail)


def _failure(status: Status, attempts: int, code: bytes, detail: bytes) -> Failure | None:
    if status is Status.FAILED:
        return Failure(code.decode(), detail.decode())
    if status in REASONS:
        known, reason = REASONS[status]
        return Failure(known, reason.format(attempts=attempts))
    return None


def decode_observation(job_id: str, answer: Sequence[Any]) -> Observation:
    """From {now, status, model, created, deadline, attempts, code, detail}, times in ms."""
    now, name, model, created, deadline, attempts, code, detail = answer
    status = Status(name.decode())
    return Observation(
        now=now / 1000,
        status=JobStatus(
            id=job_id,
            status=status,
            model=model.decode(),
            created=int(created) / 1000,
            deadline=int(deadline) / 1000,
            attempt=int(attempts),
            failure=_failure(status, int(attempts), code, detail),
        ),
    )
