"""What the HTTP routes share: settings, queue, who is asking, and whether the server is about to stop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from service import telemetry
from service.edge.auth import Authenticator
from service.log_context import note
from service.queue.client import QueueClient
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class EdgeState:
    """Kept at `app.state.edge`. `stopping` is set when the server begins to stop: who watches, goes."""

    settings: Settings
    queue: QueueClient
    authenticator: Authenticator
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


async def edge_state(request: Request) -> EdgeState:
    """The state that `create_app` put into the application."""
    return cast(EdgeState, request.app.state.edge)


Edge = Annotated[EdgeState, Depends(edge_state)]


async def client_name(request: Request, edge: Edge) -> str:
    """Who asks. Raises Unauthenticated, before anything of the body is read."""
    forwarded = ", ".join(request.headers.getlist("x-forwarded-for"))
    with telemetry.counting_rejections():
        name = edge.authenticator.client_of(
            request.headers.get("authorization"), request.client.host if request.client else "", forwarded
        )
    note(client=name)
    return name


Client = Annotated[str, Depends(client_name)]
