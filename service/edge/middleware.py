"""What surrounds every request: the limit on its body, its metric and log line, the answer to our faults."""

from __future__ import annotations

import asyncio
import logging
import time

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import telemetry
from service.edge.problems import problem_response
from service.errors import InternalError, NotReady, PayloadTooLarge, UploadStalled

logger = logging.getLogger(__name__)

CLIENT_GONE = 499
UNMATCHED = "unmatched"
QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics"})


class BodyLimit:
    """Raises `PayloadTooLarge` inside the route as soon as a body is known to exceed `max_bytes`, and
    `UploadStalled` once nothing more of it has come for `patience` seconds.

    A declared length is refused before the first byte is read, so a client that sent `Expect: 100-continue`
    never starts; a chunked body is counted while it streams.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, patience: float) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        received = 0
        complete = False  # from then on a client may be silent for as long as it likes

        async def receive_within_limit() -> Message:
            nonlocal received, complete
            if declared.isdecimal() and int(declared) > self.max_bytes:
                raise self._too_large(f"The body has {int(declared):,} bytes")
            message = await (receive() if complete else self._in_time(receive))
            complete = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise self._too_large(f"The body has more than {self.max_bytes:,} bytes")
            return message

        await self.app(scope, receive_within_limit, send)

    async def _in_time(self, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self.patience):
                return await receive()
        except TimeoutError as error:
            detail = f"Nothing more of the body came for {self.patience:g} s. Send the request again, without a pause."
            raise UploadStalled(detail) from error

    def _too_large(self, what: str) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"{what}; at most {self.max_bytes:,} are allowed for the whole request. Send smaller files; "
            "multipart/form-data takes a quarter less than base64 in JSON."
        )


class RequestRecord:
    """Counts and logs every answer; answers what nobody else caught with the problem `internal`, and what the end
    of the server cut off with `not_ready`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noting_status)
        except ClientDisconnect:
            status = CLIENT_GONE
        except asyncio.CancelledError:  # by the server alone, whose drain time is over
            if status:
                raise
            end = NotReady("The server has stopped before the answer was ready. Try again.", retry_after=1)
            await problem_response(end)(scope, receive, send_noting_status)
        except Exception:
            logger.exception("unhandled error", extra={"route": route_of(scope)})
            if status:
                raise  # too late for another answer: the server cuts the connection
            fault = InternalError("The service failed on this request. It is logged; try again.")
            await problem_response(fault)(scope, receive, send_noting_status)
        finally:
            _record(scope, status, time.perf_counter() - started)


def _record(scope: Scope, status: int, seconds: float) -> None:
    route = route_of(scope)
    telemetry.count_http_request(route, scope["method"], status)
    level = logging.DEBUG if route in QUIET_ROUTES else logging.INFO
    fields = {"route": route, "method": scope["method"], "status": status, "seconds": round(seconds, 4)}
    logger.log(level, "request", extra=fields)


def route_of(scope: Scope) -> str:
    """The route's template: the router notes the route that it chose in the scope."""
    return str(getattr(scope.get("route"), "path", UNMATCHED))
