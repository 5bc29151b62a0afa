"""What surrounds every gRPC call: its metric and log line, and the status for what it raises."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext
from typing import Any, TypeAlias

import grpc
from grpc.aio import AbortError, BaseError, ServerInterceptor
from opentelemetry.trace import INVALID_SPAN, Span

from service import telemetry
from service.edge.grpc_context import Context
from service.edge.grpc_errors import abort_with
from service.edge.grpc_service import SERVICE
from service.edge.grpc_stopping import until_stopping
from service.edge.grpc_trace import note_code, traced_call
from service.errors import InpaintError, InternalError

logger = logging.getLogger(__name__)

UNMATCHED = "unmatched"
QUIET_SERVICES = ("grpc.health.",)
WATCHING = ("grpc.reflection.", f"{SERVICE}/WatchJob")  # streams that would keep a server from stopping
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class CallRecord(ServerInterceptor):
    """Counts and logs every call, and answers what a method raises by the table of service/errors.py.

    A stream is closed with its call, so that work that nobody waits for any more ends at once; one that only
    watches ends when `stopping` is set.
    """

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, surrounded; None, which becomes UNIMPLEMENTED, where there is none."""
        handler = await continuation(handler_call_details)
        if handler is None:
            _record(UNMATCHED, grpc.StatusCode.UNIMPLEMENTED, time.perf_counter())
            return None
        return _surrounded(handler, handler_call_details.method.removeprefix("/"), self._stopping)


def _surrounded(handler: Handler, method: str, stopping: asyncio.Event) -> Handler:
    # Typed as the methods of a synchronous server.
    inner: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

    async def answer(request: Any, context: Context) -> Any:
        async with _answered(method, context):
            return await inner(request, context)

    async def stream(request: Any, context: Context) -> None:
        items = inner(request, context)
        if method.startswith(WATCHING):
            items = until_stopping(stopping, items)
        async with _answered(method, context), aclosing(items):
            async for response in items:
                await context.write(response)

    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make: Callable[..., Handler] = kinds[handler.request_streaming, handler.response_streaming]
    behaviour = stream if handler.response_streaming else answer
    return make(behaviour, handler.request_deserializer, handler.response_serializer)


@asynccontextmanager
async def _answered(method: str, context: Context) -> AsyncIterator[None]:
    with (
        nullcontext(INVALID_SPAN)
        if method.startswith(QUIET_SERVICES)
        else traced_call(method, context) as span
    ):
        async with _recorded(method, context, span):
            yield


@asynccontextmanager
async def _recorded(method: str, context: Context, span: Span) -> AsyncIterator[None]:
    started = time.perf_counter()
    code = grpc.StatusCode.OK
    try:
        async with _aborted_by_table(method, context):
            yield
    except AbortError:
        code = context.code()
        raise
    except BaseError as error:
        code = grpc.StatusCode.CANCELLED
        logger.info("the connection ended under an answer", extra={"method": method, "reason": str(error)})
        raise
    except asyncio.CancelledError:
        late = context.time_remaining() == 0
        code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
        raise
    finally:
        note_code(span, code)
        _record(method, code, started)


@asynccontextmanager
async def _aborted_by_table(method: str, context: Context) -> AsyncIterator[None]:
    """Make a status of what the block raises; what gRPC itself raises passes."""
    try:
        yield
    except InpaintError as error:
        await abort_with(context, error)
    except BaseError:
        raise
    except Exception:
        logger.exception("unhandled error", extra={"method": method})
        fault = InternalError("The service failed on this request. It is logged; try again.")
        await abort_with(context, fault)


def _record(method: str, code: grpc.StatusCode, started: float) -> None:
    telemetry.count_grpc_request(method, code.name)
    level = logging.DEBUG if method.startswith(QUIET_SERVICES) else logging.INFO
    seconds = round(time.perf_counter() - started, 4)
    logger.log(level, "call", extra={"method": method, "code": code.name, "seconds": seconds})
