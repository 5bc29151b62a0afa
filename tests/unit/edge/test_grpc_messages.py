"""The messages of proto/moebius/v1 against the contracts: neither may have what the other lacks."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contracts import (
    Box,
    EventKind,
    Failure,
    JobEvent,
    JobStatus,
    MaskPolarity,
    OutputFormat,
    Params,
    Priority,
    Result,
    Sampler,
    ServedModel,
    Status,
    Strategy,
)
from service.edge.grpc_messages import (
    PICTURE_CHUNK,
    event_message,
    job_message,
    model_message,
    params_from_message,
    picture_chunks,
    result_message,
)
from service.edge.handlers import InpaintAnswer
from service.edge.parameters import params_from_text
from service.errors import InvalidParameter, UnknownField
from service.pb.moebius.v1 import inpaint_pb2 as pb

SET = {
    "n": 2,
    "model": "moebius-nano",
    "steps": 5,
    "guidance_scale": 1.1,
    "strength": 0.7,
    "sampler": pb.SAMPLER_DPM_SOLVER_PLUS_PLUS,
    "seed": 2**32 - 2,
    "mask_polarity": pb.MASK_POLARITY_TRANSPARENT,
    "strategy": pb.STRATEGY_CROP,
    "context": 9,
    "dilate": 0,
    "feather": 3,
    "color_match": False,
    "output_format": pb.OUTPUT_FORMAT_WEBP,
    "quality": 80,
    "keep_metadata": False,
    "priority": pb.PRIORITY_BATCH,
    "timeout": 0.25,
    "preview": 4,
    "effective_mask": True,
}
WORDS = {
    "sampler": Sampler.DPM_SOLVER_PLUS_PLUS,
    "mask_polarity": MaskPolarity.TRANSPARENT,
    "strategy": Strategy.CROP,
    "output_format": OutputFormat.WEBP,
    "priority": Priority.BATCH,
}
ENUMS: dict[str, type[StrEnum]] = {
    "MaskPolarity": MaskPolarity,
    "Strategy": Strategy,
    "OutputFormat": OutputFormat,
    "Priority": Priority,
    "Sampler": Sampler,
    "JobState": Status,
    "JobEventKind": EventKind,
}


def test_the_message_has_every_parameter_and_no_other() -> None:
    assert {field.name for field in pb.Params.DESCRIPTOR.fields} == set(Params.model_fields)


def test_every_parameter_that_is_no_enum_knows_whether_it_was_sent() -> None:
    fields = pb.Params.DESCRIPTOR.fields
    assert all(field.has_presence or field.enum_type is not None for field in fields)


@pytest.mark.parametrize("name", ENUMS)
def test_an_enum_has_the_members_of_its_contract_and_no_other(name: str) -> None:
    enum = pb.DESCRIPTOR.enum_types_by_name[name]
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    members = {value.name.removeprefix(prefix) for value in enum.values if value.number}
    assert members == set(ENUMS[name].__members__)


@pytest.mark.parametrize(
    ("number", "word"), [(pb.SAMPLER_DDIM, "ddim"), (pb.SAMPLER_DPM_SOLVER_PLUS_PLUS, "dpm-solver++")]
)
def test_a_sampler_is_the_one_with_its_name_over_http(number: pb.Sampler.ValueType, word: str) -> None:
    assert params_from_message(pb.Params(sampler=number)) == params_from_text({"sampler": word})


def test_every_parameter_arrives_as_it_was_sent() -> None:
    assert set(SET) == set(Params.model_fields)
    fields: dict[str, Any] = SET
    params = params_from_message(pb.Params(**fields))
    assert params.model_dump() == {**SET, **WORDS}


def test_what_is_left_out_has_its_default() -> None:
    assert params_from_message(pb.Params()) == Params()


def test_a_zero_that_was_sent_is_no_default() -> None:
    with pytest.raises(InvalidParameter, match="steps is 0, but must be a whole number from 1 to 100"):
        params_from_message(pb.Params(steps=0))


@given(st.integers(-(2**31), 2**31 - 1).filter(lambda number: number not in pb.Strategy.values()))
def test_a_number_that_an_enum_lacks_is_refused(number: int) -> None:
    unknown: Any = number
    with pytest.raises(
        InvalidParameter, match=f"strategy is {number}, but must be one of auto, crop, resize"
    ):
        params_from_message(pb.Params(strategy=unknown))


@given(st.binary(max_size=40))
def test_no_bytes_that_are_a_message_break_the_reading(data: bytes) -> None:
    try:
        message = pb.Params.FromString(data)
    except Exception:  # no message at all: gRPC refuses it
        return
    try:
        assert isinstance(params_from_message(message), Params)
    except (InvalidParameter, UnknownField) as error:
        assert error.detail  # noqa: PT017


def test_a_jobs_message_tells_all_of_its_status() -> None:
    status = JobStatus(
        id="j",
        status=Status.EXPIRED,
        model="m",
        created=1_700_000_000.25,
        deadline=1_700_000_100.5,
        attempt=2,
        position=0,
        step=3,
        steps=20,
        failure=Failure("job_expired", "late"),
    )
    message = job_message(status)
    assert message.state == pb.JOB_STATE_EXPIRED
    assert message.create_time.ToMicroseconds() == 1_700_000_000_250_000
    assert message.deadline.ToMicroseconds() == 1_700_000_100_500_000
    assert (message.attempt, message.position, message.step, message.steps) == (2, 0, 3, 20)
    assert message.HasField("position")
    assert (message.failure.code, message.failure.detail) == ("job_expired", "late")


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_of_event_has_its_number(kind: EventKind) -> None:
    message = event_message(JobEvent("1-0", kind, attempt=1, step=2, steps=4))
    assert pb.JobEventKind.Name(message.kind) == f"JOB_EVENT_KIND_{kind.value.upper()}"
    assert (message.id, message.attempt, message.step, message.steps) == ("1-0", 1, 2, 4)
    assert not message.HasField("position")
    assert not message.HasField("failure")


def test_a_results_pictures_follow_in_chunks_that_any_client_takes() -> None:
    pictures = (b"a" * (PICTURE_CHUNK + 1), b"b" * PICTURE_CHUNK)
    answer = InpaintAnswer(
        "j", Result(pictures, "image/png", (4, 5), "m", (Box(1, 2, 3, 4),), {"denoise": 0.5}, ("note",))
    )
    message = result_message(answer)
    assert [(info.seed, info.size) for info in message.pictures] == [
        (4, PICTURE_CHUNK + 1),
        (5, PICTURE_CHUNK),
    ]
    assert (message.boxes[0].left, message.boxes[0].bottom) == (1, 4)
    assert dict(message.stage_seconds) == {"denoise": 0.5}
    assert list(message.notes) == ["note"]
    chunks = list(picture_chunks(answer))
    assert [(chunk.picture, len(chunk.data)) for chunk in chunks] == [
        (0, PICTURE_CHUNK),
        (0, 1),
        (1, PICTURE_CHUNK),
    ]


def test_a_models_message_tells_all_of_it() -> None:
    message = model_message(ServedModel("m", 256, "torch", "cuda:0", "fp16", "ab", 12))
    told = {field.name: value for field, value in message.ListFields()}
    assert told == {
        "name": "m",
        "image_size": 256,
        "backend": "torch",
        "device": "cuda:0",
        "precision": "fp16",
        "sha256": "ab",
        "default_steps": 12,
        "guidance_scale": 2.0,
    }


def test_a_few_step_models_message_tells_the_only_numbers_it_takes() -> None:
    message = model_message(ServedModel("m", 256, "torch", "cuda:0", "fp16", "ab", 4, (4,), 3.5))
    assert (message.default_steps, list(message.allowed_steps), message.guidance_scale) == (4, [4], 3.5)
