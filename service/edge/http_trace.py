"""What makes an HTTP request one trace, from its caller's context to the answer, and ties its log lines together."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.trace import Span
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import tracing
from service.edge.middleware import QUIET_ROUTES, route_of
from service.log_context import log_fields
from service.telemetry import HTTP_METHODS

OTHER_METHOD = "_OTHER"  # as OpenTelemetry's conventions for HTTP have it
FIRST_SERVER_ERROR = 500


class RequestTrace:
    """The outermost middleware: a span a request, in the caller's trace if it names one, and told in the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        peer = scope["client"]
        with log_fields(peer=peer[0] if peer else "") as fields:
            if scope["path"] in QUIET_ROUTES:
                await self.app(scope, receive, send)
            else:
                await self._traced(scope, receive, send, fields)

    async def _traced(self, scope: Scope, receive: Receive, send: Send, fields: Mapping[str, str]) -> None:
        method = scope["method"] if scope["method"] in HTTP_METHODS else OTHER_METHOD
        attributes = {"http.request.method": method, "url.scheme": scope["scheme"]}
        headers = Headers(scope=scope)
        # Several of one name are one value (RFC 9110, section 5.3); of traceparent, none that is valid.
        context = {name: ",".join(headers.getlist(name)) for name in tracing.W3C.fields}
        with tracing.server_span(method, context, attributes) as span:

            async def send_with_trace(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note_status(span, message["status"])
                    if response := tracing.trace_response(span):
                        MutableHeaders(scope=message)[tracing.TRACE_RESPONSE] = response
                await send(message)

            try:
                await self.app(scope, receive, send_with_trace)
            except Exception as error:
                tracing.mark_failed(span, type(error).__name__)
                raise
            finally:
                route = route_of(scope)
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)
                tracing.name_job(span, fields.get("job"))


def _note_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= FIRST_SERVER_ERROR:
        tracing.mark_failed(span, str(status))
