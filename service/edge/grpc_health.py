"""The standard health service (grpc.health.v1): the server serves when the queue answers and a model is served.

The library's servicer keeps a status that is set; this one looks when it is asked, and its watchers leave when
the server begins to stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer as HealthServicerBase

from service.edge.grpc_context import Context
from service.edge.grpc_service import SERVICE
from service.edge.handlers import served_models
from service.edge.state import EdgeState
from service.errors import InpaintError

WATCH_INTERVAL = 1.0  # seconds between two looks for a watcher
KNOWN = ("", SERVICE)  # the empty name is the whole server


class HealthServicer(HealthServicerBase):
    """Check and Watch, for the whole server and for our service."""

    def __init__(self, edge: EdgeState) -> None:
        self._edge = edge

    async def Check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        """The status now; NOT_FOUND for a service that is not here."""
        if request.service not in KNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Known here: the empty name, and {SERVICE}.")
        return await self._now()

    async def Watch(
        self, request: HealthCheckRequest, context: Context
    ) -> AsyncGenerator[HealthCheckResponse]:
        """The status now and whenever it changes; a service that is not here is SERVICE_UNKNOWN."""
        del context
        told: HealthCheckResponse | None = None
        stopping = self._edge.stopping
        while told is None or not stopping.is_set():
            if told is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(WATCH_INTERVAL):
                        await stopping.wait()
            current = await self._now() if request.service in KNOWN else _response("SERVICE_UNKNOWN")
            if current != told:
                yield current
            told = current

    async def _now(self) -> HealthCheckResponse:
        if self._edge.stopping.is_set():
            return _response("NOT_SERVING")
        try:
            await self._edge.queue.ping()
            await served_models(self._edge.queue)
        except InpaintError:
            return _response("NOT_SERVING")
        return _response("SERVING")


def _response(name: str) -> HealthCheckResponse:
    return HealthCheckResponse(status=HealthCheckResponse.ServingStatus.Value(name))
