"""What makes a gRPC call one trace, from its caller's context to the answer, and ties its log lines together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from opentelemetry.trace import Span

from service import tracing
from service.edge.grpc_context import Context, metadata_value, peer_address
from service.log_context import log_fields

# Those that tell of a fault on our side (OpenTelemetry's conventions for gRPC).
SERVER_FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


@contextmanager
def traced_call(method: str, context: Context) -> Iterator[Span]:
    """The span and the log fields of a call of `package.Service/Method`; the answer's trailing metadata tell it."""
    carrier = {name: metadata_value(context, name) or "" for name in tracing.W3C.fields}
    attributes = {"rpc.system.name": "grpc", "rpc.method": method}
    with (
        log_fields(peer=peer_address(context)) as fields,
        tracing.server_span(method, carrier, attributes) as span,
    ):
        if response := tracing.trace_response(span):
            context.set_trailing_metadata(((tracing.TRACE_RESPONSE, response),))
        try:
            yield span
        finally:
            tracing.name_job(span, fields.get("job"))


def note_code(span: Span, code: grpc.StatusCode) -> None:
    """Tell how the call ended."""
    span.set_attribute("rpc.response.status_code", code.name)
    if code in SERVER_FAULTS:
        tracing.mark_failed(span, code.name)
