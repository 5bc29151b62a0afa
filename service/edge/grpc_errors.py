"""Errors as a google.rpc.Status, from the one table in service/errors.py."""

from __future__ import annotations

from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from service.edge.grpc_context import Context
from service.errors import ERROR_TABLE, InpaintError

DOMAIN = "moebius"


def grpc_code(error: InpaintError) -> grpc.StatusCode:
    """The status code of `error`."""
    return grpc.StatusCode[ERROR_TABLE[error.code].grpc_status]


def status_of(error: InpaintError) -> Status:
    """The whole status (google/rpc/status.proto): our code as ErrorInfo.reason, and RetryInfo where known."""
    mapping = ERROR_TABLE[error.code]
    facts = {"retryable": str(mapping.retryable).lower(), "http_status": str(mapping.http_status)}
    details: list[Message] = [ErrorInfo(reason=error.code, domain=DOMAIN, metadata=facts)]
    if error.retry_after is not None:
        details.append(RetryInfo(retry_delay=_duration(error.retry_after)))
    return Status(code=grpc_code(error).value[0], message=error.detail, details=[_packed(d) for d in details])


async def abort_with(context: Context, error: InpaintError) -> NoReturn:
    """End the call with `error`. Raises grpc.aio.AbortError."""
    status = rpc_status.to_status(status_of(error))
    trailing = (*(context.trailing_metadata() or ()), *status.trailing_metadata)
    await context.abort(status.code, status.details, trailing)


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(round(seconds * 1000))
    return duration
