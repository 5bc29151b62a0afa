"""`/api/v1/*` as IOPaint's published web client and its programs call it. Every request is for itself: which model
fills, `POST /api/v1/model` checks and does not change, for others ask at the same time.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from service import telemetry
from service.contracts import ServedModel
from service.edge import handlers
from service.edge.bodies import parse_json_object
from service.edge.compat.error_shape import routes_that_tell_errors_as
from service.edge.compat.ignored_fields import IGNORED_DESCRIBED, ignored_header
from service.edge.compat.iopaint_answers import (
    GenerationInfo,
    IOPaintConfig,
    IOPaintError,
    IOPaintModel,
    config_of,
    iopaint_error_response,
    model_of,
)
from service.edge.compat.iopaint_request import SAMPLERS, IOPaintDocument, read_iopaint
from service.edge.disconnect import while_connected
from service.edge.schemas import described_document, picture_answer
from service.edge.state import Client, Edge, EdgeState
from service.errors import UnknownModel, UnknownRoute

router = APIRouter(prefix="/api/v1", route_class=routes_that_tell_errors_as(iopaint_error_response))


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    told = {"model": IOPaintError, "description": "An error as IOPaint tells it."}
    return dict.fromkeys((401, 500, 503, *statuses), told)


PICTURE = {
    **picture_answer("The picture, as PNG.", "image/png"),
    "headers": {
        "X-Seed": {"description": "The seed that was used.", "schema": {"type": "integer"}},
        **IGNORED_DESCRIBED,
    },
}


@router.post(
    "/inpaint",
    summary="Fill the hole of a photo, as IOPaint",
    response_class=Response,
    responses={200: PICTURE, **_refusals(404, 408, 413, 422, 429, 504)},
    openapi_extra=described_document(IOPaintDocument),
)
async def inpaint(request: Request, edge: Edge, client: Client) -> Response:
    """What IOPaint's web client sends: photo and mask in base64, white is filled. X-Ignored-Fields names what had no
    effect.
    """
    with telemetry.counting_rejections():
        sent = await read_iopaint(request)
        params, ignored = sent.params(await _default_model(edge))
    asked = handlers.InpaintRequest(client, sent.image, sent.mask, params)
    answer = await while_connected(request.receive, handlers.inpaint(edge.queue, edge.settings, asked))
    result = answer.result
    headers = {"X-Seed": str(result.seeds[0]), "X-Job-Id": answer.job_id, "X-Model": result.model}
    return Response(
        result.pictures[0], headers=headers | ignored_header(ignored), media_type=result.content_type
    )


@router.get("/server-config", summary="What IOPaint's web client asks first", responses=_refusals())
async def server_config(edge: Edge, client: Client) -> IOPaintConfig:  # noqa: ARG001 - asking needs a key
    """The models that are served; no plugin, and no file of the server."""
    return config_of(await handlers.served_models(edge.queue))


@router.get("/model", summary="The model that fills for IOPaint's clients", responses=_refusals())
async def current_model(edge: Edge, client: Client) -> IOPaintModel:  # noqa: ARG001
    """The default model."""
    return model_of(await _default_model(edge))


@router.post("/model", summary="Choose a model, as IOPaint", responses=_refusals(422))
async def switch_model(request: Request, edge: Edge, client: Client) -> IOPaintModel:  # noqa: ARG001
    """JSON with the `name` of the model: the default one is confirmed, another is refused."""
    name = parse_json_object(await request.body()).get("name")
    model = await _default_model(edge)
    if name != model.name:
        raise UnknownModel(
            f"Requests of this interface are filled by {model.name}. The operator chooses it (moebius serve --model); "
            "for another one of several use /v1/inpaint with `model`."
        )
    return model_of(model)


@router.post("/samplers", include_in_schema=False)
@router.get("/samplers", summary="Samplers by IOPaint's names", responses=_refusals())
async def samplers(client: Client) -> list[str]:  # noqa: ARG001
    """For `sd_sampler`."""
    return list(SAMPLERS)


@router.post("/gen-info", summary="Prompts of a picture, as IOPaint", responses=_refusals(408, 413))
async def generation_info(request: Request, client: Client) -> GenerationInfo:  # noqa: ARG001
    """Empty: models here take no prompt. The picture that the web client sends is not looked at."""
    async for _ in request.stream():
        pass
    return GenerationInfo()


@router.api_route(
    "/{name:path}", methods=["GET", "POST"], summary="Other calls of IOPaint", include_in_schema=False
)
async def not_offered(name: str, client: Client) -> Response:  # noqa: ARG001
    """404 in IOPaint's shape, on which its web client goes on: no input picture, plugin, file or disk is offered."""
    raise UnknownRoute(
        f"/api/v1/{name[:100]} is not offered here. Offered of IOPaint's interface are inpaint, server-config, model, "
        "samplers and gen-info."
    )


async def _default_model(edge: EdgeState) -> ServedModel:
    return (await handlers.served_models(edge.queue))[0]
