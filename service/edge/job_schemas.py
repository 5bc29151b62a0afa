"""Documents of asynchronous jobs and their events, and how /openapi.json describes their answers."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from service.contracts import EventKind, Failure, JobEvent, JobStatus, Preview, Status
from service.edge.problems import Problem, problem_of
from service.edge.schemas import Base64
from service.errors import error_for

JOBS = "/v1/jobs"


class JobLinks(BaseModel):
    """Where the job, its result and its events are, relative to the service's address."""

    self: str = Field(description="GET for this document, DELETE to cancel.")
    result: str = Field(description="GET for the picture, once the job has succeeded.")
    events: str = Field(description="GET to watch the job as Server-Sent Events.")


class JobDocument(BaseModel):
    """A job as its client sees it."""

    id: str
    status: Status
    model: str
    attempt: int = Field(description="Workers that took the job so far.")
    position: int | None = Field(description="Jobs before it while it is queued; null when it is not.")
    step: int = Field(description="Denoising steps done in this attempt.")
    steps: int = Field(description="Denoising steps of an attempt; 0 until they are known.")
    created: datetime = Field(description="When it was queued (RFC 3339).")
    deadline: datetime = Field(description="When it expires unless it has ended (RFC 3339).")
    failure: Problem | None = Field(description="Why it ended without a picture; null if it did not.")
    links: JobLinks


class PreviewDocument(BaseModel):
    """A small picture of what a candidate is about to become."""

    candidate: int
    content_type: str
    data: Base64 = Field(
        description="The whole photo with its holes filled so far, at most 256 pixels on a side, as displayed."
    )


class JobEventDocument(BaseModel):
    """Data of an event of /v1/jobs/{id}/events; the event's name says the same as `kind`."""

    kind: EventKind = Field(description="snapshot: where the job stands, in place of events no longer kept.")
    attempt: int
    position: int | None = Field(description="Jobs before it while it is queued.")
    step: int
    steps: int
    failure: Problem | None
    preview: PreviewDocument | None = Field(
        description="With progress, every k-th step where `preview` is k. Of past ones the newest alone is told."
    )


def job_path(job_id: str) -> str:
    """Where a job is, relative to the service's address."""
    return f"{JOBS}/{job_id}"


def job_document(job: JobStatus) -> JobDocument:
    """The document of a job."""
    path = job_path(job.id)
    return JobDocument(
        id=job.id,
        status=job.status,
        model=job.model,
        attempt=job.attempt,
        position=job.position,
        step=job.step,
        steps=job.steps,
        created=datetime.fromtimestamp(job.created, UTC),
        deadline=datetime.fromtimestamp(job.deadline, UTC),
        failure=_problem(job.failure),
        links=JobLinks(self=path, result=f"{path}/result", events=f"{path}/events"),
    )


def event_document(event: JobEvent) -> JobEventDocument:
    """The data of an event."""
    return JobEventDocument(
        kind=event.kind,
        attempt=event.attempt,
        position=event.position,
        step=event.step,
        steps=event.steps,
        failure=_problem(event.failure),
        preview=_preview(event.preview),
    )


def _preview(preview: Preview | None) -> PreviewDocument | None:
    if preview is None:
        return None
    data = base64.b64encode(preview.data).decode("ascii")
    return PreviewDocument(candidate=preview.candidate, content_type=preview.content_type, data=data)


def _problem(failure: Failure | None) -> Problem | None:
    return None if failure is None else problem_of(error_for(failure.code, failure.detail))


def _answer(description: str, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "description": description,
        "model": JobDocument,
        "headers": {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in headers.items()
        },
    }


LOCATION = {"Location": "The job's path."}
JOB_ACCEPTED = _answer("The job is queued, and survives a restart of the service.", LOCATION)
PREFERENCE_HEARD = _answer(
    "The job is queued, as Prefer: respond-async asked for.",
    {**LOCATION, "Preference-Applied": "respond-async (RFC 7240)."},
)
EVENT_STREAM: dict[str, Any] = {
    "description": "Server-Sent Events: `event` is the kind, `id` resumes after it (Last-Event-ID; absent where the "
    "news is not kept), `data` is a JobEventDocument. The stream ends after succeeded, failed, cancelled, expired "
    "or dead_lettered; an event `problem` tells why it ends before. A comment every 15 seconds keeps it open.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
MASK_ANSWER: dict[str, Any] = {
    "description": "A gray PNG of the photo's size as displayed: 255 where the fill alone is, 0 where nothing was "
    "touched, the feather in between.",
    "content": {"image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}}},
}
NOTHING_LEFT = {"description": "The job has ended, and Last-Event-ID names its last event: do not come back."}
