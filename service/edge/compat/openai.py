"""`POST /v1/images/edits` in OpenAI's shape: its clients work unchanged, with the service's address as base URL."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from service import telemetry
from service.edge import handlers
from service.edge.compat.error_shape import routes_that_tell_errors_as
from service.edge.compat.ignored_fields import IGNORED_DESCRIBED, ignored_header
from service.edge.compat.openai_answers import EditedSize, Images, edit_events, images_of
from service.edge.compat.openai_errors import OpenAIErrorDocument, openai_error_event, openai_error_response
from service.edge.compat.openai_links import linked_urls
from service.edge.compat.openai_request import Edit, EditForm, read_edit
from service.edge.disconnect import while_connected
from service.edge.event_stream import EventStream
from service.edge.schemas import described_form
from service.edge.state import Client, Edge, EdgeState
from service.edge.threads import in_thread
from service.imaging.decode import inspect_picture
from service.imaging.open_hole import with_open_hole

router = APIRouter(route_class=routes_that_tell_errors_as(openai_error_response))

REFUSALS = (400, 401, 404, 408, 413, 429, 500, 503, 504)
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Images,
        "headers": IGNORED_DESCRIBED,
        "description": "The pictures, or with stream the events.",
    },
    **{
        status: {"model": OpenAIErrorDocument, "description": "An error as OpenAI tells it."}
        for status in REFUSALS
    },
}


@router.post(
    "/v1/images/edits",
    summary="Fill the hole of a photo, as OpenAI's image edits",
    response_class=Response,
    responses=RESPONSES,
    openapi_extra=described_form(EditForm),
)
async def edit_image(request: Request, edge: Edge, client: Client) -> Response:
    """What OpenAI's clients send: a photo, and a mask whose transparent part (alpha below 128) is filled; without a
    mask, what is transparent in the photo. A prompt is taken and not used; X-Ignored-Fields names what had no effect.
    """
    with telemetry.counting_rejections():
        sent = await read_edit(request)
        (image, mask), size = await in_thread(lambda: _opened(sent, edge))
        params = sent.params(await _steps_between_partial_images(edge, sent))
    keys = request.headers.getlist("idempotency-key")
    key = ", ".join(keys) if keys else None
    asked = handlers.InpaintRequest(client, image, mask, params, idempotency_key=key)
    if sent.fields.stream:
        return await _streamed(edge, asked, sent, size)
    work = handlers.inpaint(edge.queue, edge.settings, asked)
    answer = await while_connected(request.receive, work)
    urls = await linked_urls(request, edge, client, answer) if sent.fields.wants_urls else None
    return await _document(answer, sent, size, urls)


def _opened(sent: Edit, edge: EdgeState) -> tuple[tuple[bytes, bytes], EditedSize]:
    """Picture and mask as workers take them, and the picture's size. Work for a thread."""
    settings = edge.settings
    header = inspect_picture(sent.image, max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels)
    opened = with_open_hole(sent.image, sent.mask, max_pixels=settings.max_pixels)
    return opened, EditedSize(header.width, header.height)


async def _steps_between_partial_images(edge: EdgeState, sent: Edit) -> int:
    """So that as many previews as were asked for come before the last step; 0 where none was."""
    if not (sent.fields.stream and sent.fields.partial_images):
        return 0
    models = await handlers.served_models(edge.queue)
    named = [model for model in models if model.name == sent.fields.served_model]
    return max(1, (*named, *models)[0].default_steps // (sent.fields.partial_images + 1))


async def _document(
    answer: handlers.InpaintAnswer, sent: Edit, size: EditedSize, urls: list[str] | None
) -> Response:
    document = await in_thread(lambda: images_of(answer, sent, size, urls).model_dump_json(exclude_none=True))
    headers = {
        "X-Job-Id": answer.job_id,
        "X-Request-Id": answer.job_id,  # which OpenAI's clients show
        "X-Seed": str(answer.result.seeds[0]),
        "X-Model": answer.result.model,
        **ignored_header(sent.ignored),
    }
    return Response(document, headers=headers, media_type="application/json")


async def _streamed(
    edge: EdgeState, asked: handlers.InpaintRequest, sent: Edit, size: EditedSize
) -> EventStream:
    """The answer as a stream, begun once the request is queued: what refuses it is still a status. A server that
    stops lets it end within its drain time, as every other request.
    """
    items = handlers.inpaint_events(edge.queue, edge.settings, asked)
    first = await anext(items)
    return EventStream(
        edit_events(first, items, sent, size),
        asyncio.Event(),
        fault=openai_error_event,
        headers=ignored_header(sent.ignored),
    )
