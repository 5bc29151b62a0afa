"""Between this package's objects and the messages of proto/moebius/v1. Knows no connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Any

import grpc
from google.protobuf.descriptor import EnumDescriptor
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status

from moebius_client.address import Address
from moebius_client.errors import (
    ConnectionFailed,
    ConnectionTimedOut,
    InvalidInput,
    MoebiusError,
    Problem,
    ServiceError,
    error_of,
)
from moebius_client.job_event import JobEvent, Preview
from moebius_client.job_status import JobStatus
from moebius_client.result import Box, Candidate, Result
from moebius_client.served_model import ServedModel
from moebius_client.upload import Upload
from service.pb.moebius.v1 import inpaint_pb2 as pb

# https://grpc.github.io/grpc/core/group__grpc__arg__keys.html: a connection that died without a word is noticed.
CHANNEL_OPTIONS = (("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 20_000))
CONNECTION_LOST = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})


def metadata(address: Address) -> tuple[tuple[str, str], ...]:
    """What each call says of its client."""
    return () if address.authorization is None else (("authorization", address.authorization),)


def submit_request(upload: Upload) -> pb.SubmitJobRequest:
    """The request of a job. Raises `InvalidInput` for a value that its message can't hold."""
    return pb.SubmitJobRequest(
        image=upload.image, mask=upload.mask, params=_params(upload), idempotency_key=upload.idempotency_key
    )


def _params(upload: Upload) -> pb.Params:
    message = pb.Params()
    fields = pb.Params.DESCRIPTOR.fields_by_name
    for name, value in upload.parameters.items():
        enum = fields[name].enum_type
        try:
            setattr(message, name, value if enum is None else _enum_number(enum, str(value)))
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"{name} is {value!r}, which can't be sent: {error}.") from error
    return message


def _enum_number(enum: EnumDescriptor, word: str) -> int:
    """The number of MASK_POLARITY_WHITE for "white"."""
    numbers = {_enum_word(enum, number): number for number in enum.values_by_number if number}
    if word not in numbers:
        raise ValueError(f"it must be one of {', '.join(numbers)}")
    return numbers[word]


def _enum_word(enum: EnumDescriptor, number: int) -> str:
    """The inverse: "dpm-solver++" for SAMPLER_DPM_SOLVER_PLUS_PLUS; "unknown" for a number that is not known here."""
    value = enum.values_by_number.get(number)
    if value is None:
        return "unknown"
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return value.name.removeprefix(prefix).lower().replace("_plus", "+").replace("_", "-")


@contextmanager
def call_errors() -> Iterator[None]:
    """Turn the errors of calls, of either kind of channel, into ours."""
    try:
        yield
    except grpc.RpcError as error:
        raise _error_of_call(error) from error


def _error_of_call(error: Any) -> MoebiusError:
    """By the status' details (google/rpc/status.proto), or where there are none by its code."""
    code, said = error.code(), error.details() or ""
    info, retry = ErrorInfo(), RetryInfo()
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        detail.Unpack(info) or detail.Unpack(retry)
    if info.reason:
        return error_of(_problem(info, said), _retry_after(retry))
    if code in CONNECTION_LOST:
        return ConnectionFailed(f"The service can't be reached: {said}")
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return ConnectionTimedOut(f"The service did not answer in time: {said}")
    return ServiceError(Problem(f"grpc_{code.name.lower()}", f"{code.name}: {said}"))


def _problem(info: ErrorInfo, said: str) -> Problem:
    status = info.metadata.get("http_status", "")
    return Problem(
        code=info.reason,
        detail=said,
        status=int(status) if status.isdecimal() else None,
        retryable=info.metadata.get("retryable") == "true",
    )


def _retry_after(retry: RetryInfo) -> float | None:
    return retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None


def job_status(message: pb.Job) -> JobStatus:
    """Where a job is."""
    return JobStatus(
        id=message.id,
        status=_word(pb.JobState.DESCRIPTOR, message.state),
        model=message.model,
        attempt=message.attempt,
        position=message.position if message.HasField("position") else None,
        step=message.step,
        steps=message.steps,
        created=message.create_time.ToDatetime(tzinfo=UTC),
        deadline=message.deadline.ToDatetime(tzinfo=UTC),
        failure=_failure(message),
    )


def _word(enum: EnumDescriptor, number: int) -> str:
    """The word that HTTP has for it: "dead_lettered"."""
    return _enum_word(enum, number).replace("-", "_")


def _failure(message: pb.Job | pb.JobEvent) -> Problem | None:
    if not message.HasField("failure"):
        return None
    return Problem(code=message.failure.code, detail=message.failure.detail)


def job_event(message: pb.JobEvent) -> JobEvent:
    """One event of a watched job."""
    return JobEvent(
        id=message.id,
        kind=_word(pb.JobEventKind.DESCRIPTOR, message.kind),
        attempt=message.attempt,
        position=message.position if message.HasField("position") else None,
        step=message.step,
        steps=message.steps,
        failure=_failure(message),
        preview=_preview(message.preview) if message.HasField("preview") else None,
    )


def _preview(message: pb.Preview) -> Preview:
    return Preview(message.candidate, message.content_type, message.data)


class ResultParts:
    """A result that comes in parts: its header, then the pictures in chunks."""

    def __init__(self) -> None:
        self._info = pb.ResultInfo()
        self._pictures: list[bytearray] = []

    def add(self, part: pb.GetJobResultResponse) -> None:
        """The next message."""
        if part.HasField("result"):
            self._info = part.result
            self._pictures = [bytearray() for _ in part.result.pictures]
        elif part.HasField("picture_chunk"):
            self._pictures[part.picture_chunk.picture] += part.picture_chunk.data

    def whole(self) -> Result:
        """All of them together. Raises `ConnectionFailed` where bytes are missing."""
        info = self._info
        if not info.pictures or [picture.size for picture in info.pictures] != [*map(len, self._pictures)]:
            raise ConnectionFailed("The result ended before its last picture.")
        return Result(
            job_id=info.job_id,
            model=info.model,
            candidates=tuple(
                Candidate(bytes(data), picture.content_type, picture.seed)
                for data, picture in zip(self._pictures, info.pictures, strict=True)
            ),
            boxes=tuple(Box(box.left, box.top, box.right, box.bottom) for box in info.boxes),
            stages=dict(info.stage_seconds),
            notes=tuple(info.notes),
            effective_mask=info.effective_mask if info.HasField("effective_mask") else None,
        )


def served_models(answer: pb.ListModelsResponse) -> list[ServedModel]:
    """What is served."""
    return [
        ServedModel(
            name=model.name,
            image_size=model.image_size,
            backend=model.backend,
            device=model.device,
            precision=model.precision,
            sha256=model.sha256,
            default_steps=model.default_steps,
            allowed_steps=tuple(model.allowed_steps) or None,
            guidance_scale=model.guidance_scale,
        )
        for model in answer.models
    ]
