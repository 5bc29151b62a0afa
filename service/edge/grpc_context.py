"""What a gRPC call tells beside its messages: who calls, and how long it waits."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from grpc.aio import ServicerContext

from service.edge.auth import Authenticator
from service.errors import JobExpired
from service.log_context import note

Context = ServicerContext[Any, Any]


def client_name(authenticator: Authenticator, context: Context) -> str:
    """Who calls. Raises Unauthenticated."""
    name = authenticator.client_of(
        metadata_value(context, "authorization"), _peer(context), metadata_value(context, "x-forwarded-for")
    )
    note(client=name)
    return name


def seconds_left(context: Context) -> float | None:
    """Seconds until the call's deadline, above 0; None if it has none. Raises JobExpired after it."""
    remaining: float | None = context.time_remaining()
    if remaining == 0:
        raise JobExpired("The call's deadline passed before the job was queued. Send it with a later one.")
    return remaining


def metadata_value(context: Context, key: str) -> str | None:
    """What the call says under `key` (lower case); several values are joined by commas."""
    values = [str(value) for name, value in context.invocation_metadata() or () if name == key]
    return ", ".join(values) if values else None


def peer_address(context: Context) -> str:
    """The address that the connection comes from, without its port."""
    return _peer(context).rpartition(":")[0].strip("[]")


def _peer(context: Context) -> str:
    """`ipv6:%5B::1%5D:50051` (gRPC's name resolution, doc/naming.md) as `[::1]:50051`."""
    return unquote(context.peer().partition(":")[2])
