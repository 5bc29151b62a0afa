"""The HTTP routes of jobs that were queued: look, fetch the result, watch, cancel."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from service.contracts import TERMINAL
from service.edge import handlers, schemas
from service.edge.answers import result_answer
from service.edge.event_stream import EventStream, job_event_bytes
from service.edge.job_schemas import (
    EVENT_STREAM,
    JOBS,
    MASK_ANSWER,
    NOTHING_LEFT,
    JobDocument,
    job_document,
)
from service.edge.negotiation import choose_result_form
from service.edge.state import Client, Edge
from service.errors import MaskNotKept

router = APIRouter()

REFUSALS = (401, 404, 500, 503)
Candidate = Annotated[
    int | None, Query(ge=0, description="Which candidate's picture, from 0; needed where there are several.")
]
LastEventId = Annotated[
    str,
    Header(
        alias="Last-Event-ID",
        description="The id of the last event seen: the stream goes on after it. Left out: from the start.",
    ),
]


@router.get(
    f"{JOBS}/{{job_id}}", summary="Where a job stands", responses=schemas.problem_responses(*REFUSALS)
)
async def get_job(job_id: str, edge: Edge, client: Client) -> JobDocument:
    """A job is readable only by the client that made it, until its deadline and the result's lifetime are over."""
    return job_document(await handlers.job_status(edge.queue, job_id, client))


@router.get(
    f"{JOBS}/{{job_id}}/result",
    summary="The picture of a finished job",
    response_class=Response,
    responses={200: schemas.INPAINT_ANSWER, **schemas.problem_responses(*REFUSALS, 406, 409, 422, 504)},
)
async def get_result(
    job_id: str, request: Request, edge: Edge, client: Client, candidate: Candidate = None
) -> Response:
    """The same answer as that of /v1/inpaint; 409 with Retry-After while the job waits or runs, and the job's own
    problem if it has no picture.
    """
    answer = await handlers.job_result(edge.queue, job_id, client)
    chosen = choose_result_form(request.headers.get("accept"), answer.result, candidate)
    return await result_answer(answer, chosen)


@router.get(
    f"{JOBS}/{{job_id}}/mask",
    summary="The pixels that a job may have changed",
    response_class=Response,
    responses={200: MASK_ANSWER, **schemas.problem_responses(*REFUSALS, 409, 504)},
)
async def get_mask(job_id: str, edge: Edge, client: Client) -> Response:
    """The effective mask of a job that was sent with effective_mask=true: the hole as it was grown and feathered. 409
    with Retry-After while the job waits or runs, and the job's own problem if it has no picture.
    """
    answer = await handlers.job_result(edge.queue, job_id, client)
    mask = answer.result.effective_mask
    if mask is None:
        raise MaskNotKept(
            "The job was sent without effective_mask=true. Send it again with that to get the mask."
        )
    return Response(mask, headers={"X-Job-Id": answer.job_id}, media_type="image/png")


@router.get(
    f"{JOBS}/{{job_id}}/events",
    summary="Watch a job",
    response_class=Response,
    responses={200: EVENT_STREAM, 204: NOTHING_LEFT, **schemas.problem_responses(*REFUSALS)},
)
async def watch_job(job_id: str, edge: Edge, client: Client, last_event_id: LastEventId = "") -> Response:
    """Position in the queue, step k of n and the end, as Server-Sent Events. To leave does not touch the job.
    204 to who has seen the end already: browsers come back until they are told so.
    """
    job = await handlers.job_status(
        edge.queue, job_id, client
    )  # an unknown one is told before the stream begins
    if last_event_id and job.status in TERMINAL:
        async with aclosing(handlers.job_events(edge.queue, job_id, client, last_event_id)) as left:
            if await anext(left, None) is None:
                return Response(status_code=204)
    events = handlers.job_events(edge.queue, job_id, client, last_event_id)
    return EventStream(job_event_bytes(events), edge.stopping)


@router.delete(f"{JOBS}/{{job_id}}", summary="Cancel a job", responses=schemas.problem_responses(*REFUSALS))
async def cancel_job(job_id: str, edge: Edge, client: Client) -> JobDocument:
    """Cancels a job that waits or runs; one that has ended stays as it is. Harmless when repeated."""
    return job_document(await handlers.cancel_job(edge.queue, job_id, client))
