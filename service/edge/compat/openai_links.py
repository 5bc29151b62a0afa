"""Addresses of finished pictures: what `response_format=url` answers, readable by anybody who has one.

A link is 128 random bits of its own, beside the job's id, and ends with the job's result.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from service.contracts import OutputFormat
from service.edge import handlers, schemas
from service.edge.state import Edge, EdgeState
from service.errors import InvalidParameter

router = APIRouter()

ANSWER_TYPES = tuple(f"image/{output.value}" for output in OutputFormat)
SCHEMES = frozenset({"http", "https"})
Candidate = Annotated[int, Path(ge=0, description="Which picture, from 0.")]


@router.get(
    "/images/{link}/{candidate}",
    summary="A picture by its link",
    response_class=Response,
    responses={
        200: schemas.picture_answer("The picture.", *ANSWER_TYPES),
        **schemas.problem_responses(404, 422, 500, 503),
    },
)
async def linked_picture(link: str, candidate: Candidate, edge: Edge) -> Response:
    """A picture that /v1/images/edits answered as a url. Needs no key: who has the link may read it, until the
    result is no longer kept.
    """
    job_id, owner = await edge.queue.shared(link)
    result = (await handlers.job_result(edge.queue, job_id, owner)).result
    if candidate >= len(result.pictures):
        raise InvalidParameter(
            f"candidate is {candidate}, but the job has {len(result.pictures)}; the first is 0."
        )
    headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(result.pictures[candidate], headers=headers, media_type=result.content_type)


async def linked_urls(
    request: Request, edge: EdgeState, client: str, answer: handlers.InpaintAnswer
) -> list[str]:
    """An absolute address for each picture of a finished job, as the client reaches this service."""
    link = await edge.queue.share(answer.job_id, client)
    base = public_base(request, edge)
    return [f"{base}/images/{link}/{candidate}" for candidate in range(len(answer.result.pictures))]


def public_base(request: Request, edge: EdgeState) -> str:
    """Scheme and authority that the client used: those of the request, or what a trusted proxy tells of them."""
    scheme, host = request.url.scheme, request.url.netloc
    if edge.authenticator.trusts(request.client.host if request.client else ""):
        forwarded = _first(request, "x-forwarded-proto")
        scheme = forwarded if forwarded in SCHEMES else scheme
        host = _first(request, "x-forwarded-host") or host
    return f"{scheme}://{host}"


def _first(request: Request, header: str) -> str:
    return request.headers.get(header, "").partition(",")[0].strip()
