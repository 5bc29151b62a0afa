"""The HTTP routes of inpainting and nothing else: a route reads a request, calls a handler, writes the answer."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service import telemetry
from service.edge import handlers, schemas
from service.edge.answers import accepted_answer, result_answer
from service.edge.bodies import InpaintBody, read_inpaint_body
from service.edge.disconnect import while_connected
from service.edge.job_schemas import JOB_ACCEPTED, JOBS, PREFERENCE_HEARD
from service.edge.negotiation import choose_answer_form
from service.edge.prefer import prefers_async
from service.edge.state import Client, Edge

router = APIRouter()

REFUSALS = (401, 408, 413, 415, 422, 429, 500, 503)


@router.post(
    "/v1/inpaint",
    summary="Fill the hole of a photo",
    response_class=Response,
    responses={
        200: schemas.INPAINT_ANSWER,
        202: PREFERENCE_HEARD,
        **schemas.problem_responses(*REFUSALS, 406, 409, 504),
    },
    openapi_extra=schemas.described_body(schemas.IDEMPOTENCY_KEY, schemas.PREFER),
)
async def inpaint(request: Request, edge: Edge, client: Client) -> Response:
    """Send image and mask, get the picture with the hole filled. Unknown fields are refused. If the client
    leaves before, the job is cancelled, unless it has an Idempotency-Key.
    """
    asynchronous = prefers_async(request.headers.getlist("prefer"))
    with telemetry.counting_rejections():
        body = await read_inpaint_body(request)
        # How many candidates there are matters when the result is fetched.
        params = body.params.model_copy(update={"n": 1}) if asynchronous else body.params
        form = choose_answer_form(request.headers.get("accept"), params)
    asked = _asked(request, client, body.with_format(form.output_format))
    if asynchronous:
        return accepted_answer(await handlers.submit(edge.queue, edge.settings, asked), preferred=True)
    answer = await while_connected(request.receive, handlers.inpaint(edge.queue, edge.settings, asked))
    return await result_answer(answer, None if form.as_json else 0)


@router.post(
    JOBS,
    summary="Queue an inpainting job",
    response_class=Response,
    status_code=202,
    responses={202: JOB_ACCEPTED, **schemas.problem_responses(*REFUSALS)},
    openapi_extra=schemas.described_body(schemas.IDEMPOTENCY_KEY),
)
async def submit_job(request: Request, edge: Edge, client: Client) -> Response:
    """Takes what /v1/inpaint takes, and answers at once with the job, which goes on without its client. The
    picture's format is output_format's, or the input's own.
    """
    with telemetry.counting_rejections():
        body = await read_inpaint_body(request)
    asked = _asked(request, client, body)
    return accepted_answer(await handlers.submit(edge.queue, edge.settings, asked))


@router.get(
    "/v1/models",
    summary="Models that are served now",
    responses=schemas.problem_responses(401, 500, 503),
)
async def models(edge: Edge, client: Client) -> schemas.ModelList:  # noqa: ARG001 - asking needs a key
    """What the live workers have loaded; an empty list if none is there."""
    return schemas.model_list(await edge.queue.models())


def _asked(request: Request, client: str, body: InpaintBody) -> handlers.InpaintRequest:
    keys = request.headers.getlist("idempotency-key")
    return handlers.InpaintRequest(
        client=client,
        image=body.image,
        mask=body.mask,
        params=body.params,
        # Several make one with a space in it, which is refused: which one counts is not ours to guess.
        idempotency_key=", ".join(keys) if keys else None,
    )
