"""Between the messages of proto/moebius/v1 and the contracts. Knows no call and no queue."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.unknown_fields import UnknownFieldSet

from service.contracts import (
    Failure,
    JobEvent,
    JobStatus,
    MaskPolarity,
    OutputFormat,
    Params,
    Preview,
    Priority,
    Sampler,
    ServedModel,
    Strategy,
)
from service.edge.handlers import InpaintAnswer
from service.edge.parameters import params_from_json
from service.errors import UnknownField
from service.pb.moebius.v1 import inpaint_pb2 as pb

PARAMETER_ENUMS: dict[str, type[StrEnum]] = {
    contract.__name__: contract for contract in (MaskPolarity, Strategy, OutputFormat, Priority, Sampler)
}  # by the name of the message's enum; the members have the same names in both
PICTURE_CHUNK = 256 * 1024  # bytes; far below the 4 MB that a client takes in one message


def params_from_message(message: pb.Params) -> Params:
    """The parameters that were set, checked by `Params`. Raises `InvalidParameter` and `UnknownField`."""
    refuse_unknown_fields(message)
    return params_from_json(
        {
            field.name: _enum_word(field.enum_type, value) if field.enum_type else value
            for field, value in message.ListFields()
        }
    )


def refuse_unknown_fields(message: Message) -> None:
    """Raise `UnknownField` where the client sent a field that this version of the interface does not have:
    ignoring it would answer another request than was meant.
    """
    unknown: Any = UnknownFieldSet(message)  # typed without its iterator
    numbers = sorted({field.field_number for field in unknown})
    if numbers:
        descriptor = message.DESCRIPTOR
        known = ", ".join(f"{field.number} ({field.name})" for field in descriptor.fields)
        raise UnknownField(
            f"{descriptor.name} has no field with the number {numbers[0]} here; it has {known}. "
            "Is the server older than the client?"
        )


def _enum_word(enum: EnumDescriptor, number: int) -> str | int:
    """MASK_POLARITY_WHITE as "white"; a number that the enum lacks stays itself, which `Params` refuses."""
    value = enum.values_by_number.get(number)
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return number if value is None else PARAMETER_ENUMS[enum.name][value.name.removeprefix(prefix)].value


def job_message(status: JobStatus) -> pb.Job:
    """Where a job is."""
    return pb.Job(
        id=status.id,
        state=pb.JobState.Value(f"JOB_STATE_{status.status.name}"),
        model=status.model,
        create_time=_timestamp(status.created),
        deadline=_timestamp(status.deadline),
        attempt=status.attempt,
        position=status.position,
        step=status.step,
        steps=status.steps,
        failure=_failure_message(status.failure),
    )


def event_message(event: JobEvent) -> pb.JobEvent:
    """One event of a job."""
    return pb.JobEvent(
        id=event.id,
        kind=pb.JobEventKind.Value(f"JOB_EVENT_KIND_{event.kind.name}"),
        attempt=event.attempt,
        position=event.position,
        step=event.step,
        steps=event.steps,
        failure=_failure_message(event.failure),
        preview=_preview_message(event.preview),
    )


def _preview_message(preview: Preview | None) -> pb.Preview | None:
    if preview is None:
        return None
    return pb.Preview(candidate=preview.candidate, content_type=preview.content_type, data=preview.data)


def _failure_message(failure: Failure | None) -> pb.Failure | None:
    return None if failure is None else pb.Failure(code=failure.code, detail=failure.detail)


def _timestamp(seconds: float) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromMicroseconds(round(seconds * 1e6))
    return timestamp


def result_message(answer: InpaintAnswer) -> pb.ResultInfo:
    """A finished job without its pictures' bytes."""
    result = answer.result
    return pb.ResultInfo(
        job_id=answer.job_id,
        model=result.model,
        pictures=[
            pb.PictureInfo(content_type=result.content_type, seed=seed, size=len(picture))
            for picture, seed in zip(result.pictures, result.seeds, strict=True)
        ],
        boxes=[
            pb.Box(left=box.left, top=box.top, right=box.right, bottom=box.bottom) for box in result.boxes
        ],
        stage_seconds=result.stages,
        notes=result.notes,
        effective_mask=result.effective_mask,
    )


def picture_chunks(answer: InpaintAnswer) -> Iterator[pb.PictureChunk]:
    """The pictures' bytes in order, in messages of any client's size."""
    for index, picture in enumerate(answer.result.pictures):
        for start in range(0, len(picture), PICTURE_CHUNK):
            yield pb.PictureChunk(picture=index, data=picture[start : start + PICTURE_CHUNK])


def model_message(model: ServedModel) -> pb.Model:
    """A model that is served."""
    return pb.Model(
        name=model.name,
        image_size=model.image_size,
        backend=model.backend,
        device=model.device,
        precision=model.precision,
        sha256=model.sha256,
        default_steps=model.default_steps,
        allowed_steps=model.allowed_steps,
        guidance_scale=model.guidance_scale,
    )
