"""What a client sees of a job: lua/observe.lua's answer, and the status, events and error that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.contracts import (
    TERMINAL,
    TERMINAL_KINDS,
    EventKind,
    Failure,
    JobEvent,
    JobStatus,
    Preview,
    Status,
)
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
    """A job at `now`, and its events since the last look. Times are Unix seconds of the queue's clock; `stored` are
    the fields of its result, where they were read in the same round trip.
    """

    now: float
    status: JobStatus
    events: tuple[JobEvent, ...] = ()
    last_event: int = 0
    stored: dict[bytes, bytes] | None = None

    @property
    def ended(self) -> bool:
        """Whether the job's status will never change again."""
        return self.status.status in TERMINAL

    @property
    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self.status.deadline - self.now

    @property
    def told_position(self) -> bool:
        """Whether one of the events tells where in the queue the job is now."""
        return any(event.position == self.status.position for event in self.events)

    def position_event(self) -> JobEvent:
        """The job's place in the queue, as news that are not kept."""
        return JobEvent("", EventKind.QUEUED, self.status.attempt, position=self.status.position)

    def error(self) -> InpaintError:
        """The error that an ended job without result is for its client."""
        failure = self.status.failure or Failure("internal", "The job ended without a reason.")
        return error_for(failure.code, failure.detail)


def decode_observation(job_id: str, answer: Sequence[Any], after: int = 0) -> Observation:
    """From {now, status, model, created, deadline, attempts, code, detail, position, step, steps, events,
    preview}, times in ms; `after` is the number of the last event that the client has seen.
    """
    now, name, model, created, deadline, attempts, code, detail, position, step, steps, entries, shown = (
        answer
    )
    state = Status(name.decode())
    status = JobStatus(
        id=job_id,
        status=state,
        model=model.decode(),
        created=int(created) / 1000,
        deadline=int(deadline) / 1000,
        attempt=int(attempts),
        position=position if position >= 0 else None,
        step=int(step),
        steps=int(steps),
        failure=_failure(state, int(attempts), code, detail),
    )
    numbers = [int(identity.partition(b"-")[0]) for identity, _ in entries]
    fields = [told for _, told in entries]
    return Observation(
        now=now / 1000,
        status=status,
        events=_with_preview(_events(status, list(zip(numbers, fields, strict=True)), after), shown),
        last_event=numbers[-1] if numbers else after,
    )


def _events(
    status: JobStatus, entries: Sequence[tuple[int, Sequence[bytes]]], after: int
) -> tuple[JobEvent, ...]:
    events = [_event(status, number, fields, last=number == entries[-1][0]) for number, fields in entries]
    if entries and entries[0][0] > after + 1:
        snapshot = JobEvent(
            str(entries[0][0] - 1),
            EventKind.SNAPSHOT,
            status.attempt,
            position=status.position,
            step=status.step,
            steps=status.steps,
        )
        return (snapshot, *events)
    return tuple(events)


def _with_preview(events: tuple[JobEvent, ...], shown: Sequence[bytes]) -> tuple[JobEvent, ...]:
    """The newest preview at its event, or at the snapshot that stands for it."""
    if not shown:
        return events
    number, picture = int(shown[0]), shown[1]
    place = next((index for index, event in enumerate(events) if int(event.id) >= number), None)
    if place is None:
        return events
    return (*events[:place], replace(events[place], preview=Preview(picture)), *events[place + 1 :])


def _event(status: JobStatus, number: int, fields: Sequence[bytes], *, last: bool) -> JobEvent:
    """An event of the stream; only the last one, and so the terminal one, can tell what the job's status tells now."""
    told = dict(zip(fields[::2], fields[1::2], strict=True))
    kind = EventKind(told[b"kind"].decode())
    terminal = kind in TERMINAL_KINDS
    return JobEvent(
        str(number),
        kind,
        int(told[b"attempt"]),
        position=status.position if last and kind is EventKind.QUEUED else None,
        step=status.step if terminal else int(told.get(b"step", 0)),
        steps=status.steps if terminal else int(told.get(b"steps", 0)),
        failure=status.failure if terminal else None,
    )


def _failure(status: Status, attempts: int, code: bytes, detail: bytes) -> Failure | None:
    if status is Status.FAILED:
        return Failure(code.decode(), detail.decode())
    if status in REASONS:
        known, reason = REASONS[status]
        return Failure(known, reason.format(attempts=attempts))
    return None
