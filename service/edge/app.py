"""Assembles the HTTP application: routes, problem details, body limit, request record, traces, OpenAPI."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from service import __version__
from service.edge import jobs, operations, rest
from service.edge.auth import Authenticator
from service.edge.compat import iopaint, openai, openai_links
from service.edge.http_trace import RequestTrace
from service.edge.middleware import BodyLimit, RequestRecord
from service.edge.openapi import openapi_document
from service.edge.playground import routes as playground
from service.edge.problems import install_problem_handlers
from service.edge.state import EdgeState
from service.queue.client import QueueClient
from service.settings import Settings


def create_app(settings: Settings, queue: QueueClient) -> FastAPI:
    """The application; it leaves `queue` open at its end, for gRPC may still need it."""
    app = FastAPI(
        title="Moebius",
        version=__version__,
        description="Inpainting: a photo and a mask in, the photo with the hole filled out.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.edge = EdgeState(settings, queue, Authenticator(settings))
    for part in (rest, jobs, operations, playground, openai, openai_links, iopaint):
        app.include_router(part.router)
    install_problem_handlers(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes, patience=settings.upload_patience)
    app.add_middleware(RequestRecord)
    app.add_middleware(RequestTrace)
    app.openapi = partial(openapi_document, app)  # type: ignore[method-assign]
    return app
