"""Parts of the tests: calls of InpaintService, and what came of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from grpc_status import rpc_status

from service.pb.moebius.v1 import inpaint_pb2 as pb
from tests.integration.edge.pictures import MASK, PHOTO

if TYPE_CHECKING:
    from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceAsyncStub

    Stub: TypeAlias = InpaintServiceAsyncStub
else:
    Stub = Any

PATIENCE = 30.0  # seconds; a bound for broken code, never waited for
CHUNK = 1024 * 1024


def inpaint_request(**fields: Any) -> pb.InpaintRequest:
    return pb.InpaintRequest(**{"image": PHOTO, "mask": MASK, **fields})


def submit_request(**fields: Any) -> pb.SubmitJobRequest:
    return pb.SubmitJobRequest(**{"image": PHOTO, "mask": MASK, **fields})


def upload(image: bytes = PHOTO, mask: bytes = MASK, **header: Any) -> Iterator[pb.InpaintStreamRequest]:
    """The client's side of InpaintStream."""
    yield pb.InpaintStreamRequest(header=pb.InpaintHeader(**header))
    for name, data in (("image_chunk", image), ("mask_chunk", mask)):
        for start in range(0, len(data), CHUNK):
            chunk: Any = {name: data[start : start + CHUNK]}
            yield pb.InpaintStreamRequest(**chunk)


def health(channel: grpc.aio.Channel) -> Any:
    """A client of the standard health service; its stubs know no methods."""
    return HealthStub(channel)


def reflect(channel: grpc.aio.Channel) -> Any:
    """The one method of the reflection service; its stubs know no asynchronous channel."""
    stub: Any = ServerReflectionStub
    return stub(channel).ServerReflectionInfo


@dataclass
class Pictures:
    """A streamed result, put together."""

    events: list[pb.JobEvent]
    result: pb.ResultInfo
    pictures: list[bytes]
    largest_message: int


async def put_together(
    parts: AsyncIterable[pb.InpaintStreamResponse] | AsyncIterable[pb.GetJobResultResponse],
) -> Pictures:
    """Read a result to its end."""
    found = Pictures([], pb.ResultInfo(), [], 0)
    part: Any
    async for part in parts:
        found.largest_message = max(found.largest_message, part.ByteSize())
        kind = part.WhichOneof("part")
        if kind == "event":
            found.events.append(part.event)
        elif kind == "result":
            found.result = part.result
            found.pictures = [b"" for _ in part.result.pictures]
        else:
            found.pictures[part.picture_chunk.picture] += part.picture_chunk.data
    return found


@dataclass(frozen=True)
class Refusal:
    """How a call failed."""

    code: grpc.StatusCode
    message: str
    info: ErrorInfo
    retry_after: float | None


async def refusal(call: Awaitable[Message] | AsyncIterable[Message]) -> Refusal:
    """The error that a call must end with."""
    try:
        if isinstance(call, AsyncIterable):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return refusal_of(error)
    raise AssertionError("the call succeeded")


def refusal_of(error: Any) -> Refusal:
    """The details of an error (google/rpc/status.proto), raised by a client of either kind."""
    status = rpc_status.from_call(error)
    info, retry = ErrorInfo(), RetryInfo()
    for detail in status.details if status else ():
        detail.Unpack(info) or detail.Unpack(retry)
    seconds = retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None
    return Refusal(error.code(), error.details() or "", info, seconds)


async def until(condition: Callable[[], bool]) -> None:
    """Poll `condition` until it holds, while the server in the same event loop goes on."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        await asyncio.sleep(0.01)
