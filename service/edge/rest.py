"""The HTTP routes, and nothing else: a route reads a request, calls a handler and writes the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from service import telemetry
from service.contracts import Result
from service.edge import handlers, schemas
from service.edge.bodies import read_inpaint_body
from service.edge.disconnect import while_connected
from service.edge.negotiation import choose_answer_form
from service.edge.reference_page import reference_page
from service.edge.threads import in_thread
from service.queue.client import QueueClient
from service.settings import Settings

router = APIRouter()

UNKNOWN_PEER = "unknown"


@dataclass(frozen=True, slots=True)
class EdgeState:
    """What the routes need, kept at `app.state.edge`."""

    settings: Settings
    queue: QueueClient


async def edge_state(request: Request) -> EdgeState:
    """The state that `create_app` put into the application."""
    return cast(EdgeState, request.app.state.edge)


Edge = Annotated[EdgeState, Depends(edge_state)]


@router.post(
    "/v1/inpaint",
    summary="Fill the hole of a photo",
    response_class=Response,
    responses={
        200: schemas.INPAINT_ANSWER,
        **schemas.problem_responses(406, 409, 413, 415, 422, 429, 500, 503, 504),
    },
    openapi_extra=schemas.INPAINT_BODY,
)
async def inpaint(request: Request, edge: Edge) -> Response:
    """Send image and mask, get the picture with the hole filled. Unknown fields are refused."""
    with telemetry.counting_rejections():
        body = await read_inpaint_body(request)
        form = choose_answer_form(request.headers.get("accept"), body.params)
    asked = handlers.InpaintRequest(
        client=request.client.host if request.client else UNKNOWN_PEER,
        image=body.image,
        mask=body.mask,
        params=body.params.model_copy(update={"output_format": form.output_format}),
    )
    answer = await while_connected(request, handlers.inpaint(edge.queue, edge.settings, asked))
    if form.as_json:
        document = await in_thread(lambda: schemas.inpaint_response(answer).model_dump_json())
        return Response(document, headers=_answer_headers(answer), media_type="application/json")
    picture = answer.result.pictures[0]
    return Response(picture, headers=_answer_headers(answer), media_type=answer.result.content_type)


def _answer_headers(answer: handlers.InpaintAnswer) -> dict[str, str]:
    result = answer.result
    headers = {
        "X-Job-Id": answer.job_id,
        "X-Seed": str(result.seeds[0]),
        "X-Model": result.model,
        "Server-Timing": _server_timing(result),
    }
    if result.boxes:
        headers["X-Boxes"] = " ".join(f"{b.left},{b.top},{b.right},{b.bottom}" for b in result.boxes)
    if result.notes:
        headers["X-Notes"] = _header_text("; ".join(result.notes))
    return headers


def _server_timing(result: Result) -> str:
    """Milliseconds by stage (W3C Server Timing)."""
    return ", ".join(f"{stage};dur={seconds * 1000:.1f}" for stage, seconds in result.stages.items())


def _header_text(text: str) -> str:
    """A header field holds one line of ASCII."""
    return " ".join(text.split()).encode("ascii", "replace").decode("ascii")


@router.get("/v1/models", summary="Models that are served now", responses=schemas.problem_responses(500, 503))
async def models(edge: Edge) -> schemas.ModelList:
    """What the live workers have loaded; an empty list if none is there."""
    return schemas.model_list(await edge.queue.models())


@router.get("/livez", summary="Liveness")
async def livez() -> schemas.Alive:
    """Answers as long as the process does; says nothing about queue and workers."""
    return schemas.Alive()


@router.get("/readyz", summary="Readiness", responses=schemas.problem_responses(503))
async def readyz(edge: Edge) -> schemas.Ready:
    """Ready when the queue answers and a worker has registered a model."""
    await edge.queue.ping()
    return schemas.Ready(models=[model.name for model in await handlers.served_models(edge.queue)])


@router.get(
    "/metrics",
    summary="Metrics in Prometheus' text format",
    response_class=Response,
    responses={
        200: {"description": "The metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def metrics() -> Response:
    """Of this process, or of all processes of a `moebius serve`."""
    page, content_type = await run_in_threadpool(telemetry.render_metrics)
    return Response(page, headers={"Content-Type": content_type})


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The reference as one page without scripts or foreign assets."""
    return HTMLResponse(reference_page(request.app.openapi()))
