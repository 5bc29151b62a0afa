"""What a gRPC call tells beside its messages: who calls, and how long it waits."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from grpc.aio import ServicerContext

from service.edge.auth import Authenticator
from service.errors import JobExpired

Context = ServicerContext[Any, Any]


def client_name(authenticator: Authenticator, context: Context) -> str:
    """Who calls. Raises Unauthenticated."""
    return authenticator.client_of(
        _metadata(context, "authorization"), _peer(context), _metadata(context, "x-forwarded-for")
    )


def seconds_left(context: Context) -> float | None:
    """Seconds until the call's deadline, above 0; None if it has none. Raises JobExpired after it."""
    remaining: float | None = context.time_remaining()
    if remaining == 0:
        raise JobExpired("The call's deadline passed before the job was queued. Send it with a later one.")
    return remaining


def _metadata(context: Context, key: str) -> str | None:
    values = [str(value) for name, value in context.invocation_metadata() or () if name == key]
    return ", ".join(values) if values else None


def _peer(context: Context) -> str:
    """`ipv6:%5B::1%5D:50051` (gRPC's name resolution, doc/naming.md) as `[::1]:50051`."""
    return unquote(context.peer().partition(":")[2])
