"""The HTTP routes for operators and programs that look after the service; nobody needs a key for them."""

from __future__ import annotations

import asyncio
import logging

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from service import telemetry
from service.edge import handlers, schemas
from service.edge.reference_page import reference_page
from service.edge.state import Edge
from service.errors import InpaintError
from service.queue.client import QueueClient
from service.queue_load import QueueLoad

logger = logging.getLogger(__name__)
router = APIRouter()

LOAD_TIMEOUT = 2.0  # seconds; a scrape waits for ten, and has more to tell than the queue


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
async def metrics(edge: Edge) -> Response:
    """Of this process, or of all processes of a `moebius serve`; and what the queue holds."""
    load = await _load_of(edge.queue)
    page, content_type = await run_in_threadpool(telemetry.render_metrics, load)
    return Response(page, headers={"Content-Type": content_type})


async def _load_of(queue: QueueClient) -> QueueLoad | None:
    """None while the queue does not answer: the rest is told then, too, and most of all."""
    try:
        async with asyncio.timeout(LOAD_TIMEOUT):
            return await queue.load()
    except TimeoutError:
        telemetry.count_redis_error("load")
        logger.warning("the queue's load is not known", extra={"reason": f"no answer in {LOAD_TIMEOUT} s"})
    except InpaintError as error:
        logger.warning("the queue's load is not known", extra={"reason": str(error)})
    return None


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The reference as one page without scripts or foreign assets."""
    return HTMLResponse(reference_page(request.app.openapi()))
