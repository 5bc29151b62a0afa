"""Routes whose refusals have the shape of another system's, whatever raises them: keys, the body, the work."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from service.errors import InpaintError


def routes_that_tell_errors_as(shape: Callable[[InpaintError], Response]) -> type[APIRoute]:
    """A `route_class` for a router: `shape` answers whatever of the error tree its routes raise."""

    class ShapedRoute(APIRoute):
        """A route of that router."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """The route's handler, dependencies included, and the answer to its errors."""
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    return await handler(request)
                except InpaintError as error:
                    return shape(error)

            return handle

    return ShapedRoute
