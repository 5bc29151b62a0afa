"""THE TABLE of bad calls: each ends with a code, our reason, and words that say what is wrong and allowed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from PIL import Image

from service.errors import ERROR_TABLE
from service.pb.moebius.v1 import inpaint_pb2 as pb
from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceStub
from service.queue.client import QueueClient
from service.settings import Settings
from tests.integration.edge.live_edge import FEW_STEP, SERVED, FlatWorker
from tests.integration.edge.pictures import MASK, PHOTO, SIZE, encode, mask
from tests.integration.grpc.calls import (
    Stub,
    inpaint_request,
    refusal,
    refusal_of,
    submit_request,
    upload,
)
from tests.integration.grpc.conftest import serving

LIMIT = 100_000  # bytes that the servers here take


@pytest.fixture
def settings() -> Settings:
    return Settings(grpc_port=0, max_upload_bytes=LIMIT)


@pytest.fixture
def worker(queue_url: str, settings: Settings) -> Iterator[FlatWorker]:
    """It serves a few-step model too, which refuses what others take."""
    with FlatWorker(queue_url, settings, models=(SERVED, FEW_STEP)) as flat:
        yield flat


def params(**fields: Any) -> pb.InpaintRequest:
    return inpaint_request(params=pb.Params(**fields))


def from_the_future(message: Any, number: int) -> bytes:
    """`message` with a field more than this version of the interface has."""
    return bytes(message.SerializeToString() + bytes([number << 3 & 0x7F | 0x80, number >> 4, 1]))


@dataclass(frozen=True)
class Row:
    """One bad request of Inpaint, and how it must be refused."""

    name: str
    request: pb.InpaintRequest
    reason: str
    words: tuple[str, ...]


ROWS = [
    Row("no image", inpaint_request(image=b""), "missing_part", ("image",)),
    Row("no mask", inpaint_request(mask=b""), "missing_part", ("mask",)),
    Row("not an image", inpaint_request(image=b"just text"), "not_an_image", ("PNG",)),
    Row("empty mask", inpaint_request(mask=encode(Image.new("L", SIZE))), "empty_mask", ("White",)),
    Row(
        "mask of another aspect", inpaint_request(mask=encode(mask((80, 96)))), "mask_size_mismatch", ("80",)
    ),
    Row("too many bytes", inpaint_request(image=b"\0" * LIMIT), "payload_too_large", ("100,000",)),
    Row("steps 0", params(steps=0), "invalid_parameter", ("steps", "from 1 to 100", "left out")),
    Row("steps 101", params(steps=101), "invalid_parameter", ("steps", "101")),
    Row("n 11", params(n=11), "invalid_parameter", ("n is 11", "from 1 to 10")),
    Row("guidance nan", params(guidance_scale=float("nan")), "invalid_parameter", ("guidance_scale",)),
    Row("strength inf", params(strength=float("inf")), "invalid_parameter", ("strength",)),
    Row("timeout 0", params(timeout=0.0), "invalid_parameter", ("timeout", "above 0")),
    Row("strategy 99", params(strategy=99), "invalid_parameter", ("strategy", "99", "auto, crop, resize")),
    Row("sampler -1", params(sampler=-1), "invalid_parameter", ("sampler", "-1", "ddim, dpm-solver++")),
    Row("format 4", params(output_format=4), "invalid_parameter", ("output_format", "png, jpeg, webp")),
    Row("no step left", params(steps=1, strength=0.5), "invalid_parameter", ("steps", "strength")),
    Row("no seed left", params(seed=2**32 - 1, n=2), "invalid_parameter", ("seed", "n = 2")),
    Row(
        "other steps", params(model="few-step", steps=20), "invalid_parameter", ("say 4", "use moebius-nano")
    ),
    Row("other guidance", params(model="few-step", guidance_scale=1), "invalid_parameter", ("say 2.5",)),
    Row(
        "other sampler",
        params(model="few-step", sampler=pb.SAMPLER_DPM_SOLVER_PLUS_PLUS),
        "invalid_parameter",
        ("sampler is dpm-solver++", "say ddim", "use moebius-nano"),
    ),
    Row("unknown model", params(model="nobody"), "unknown_model", ("'nobody'", "moebius-nano")),
    Row("empty model", params(model=""), "unknown_model", ("moebius-nano",)),
    Row("bad idempotency key", inpaint_request(idempotency_key="a b"), "invalid_parameter", ("255",)),
    Row(
        "parameter from the future",
        inpaint_request(params=pb.Params.FromString(from_the_future(pb.Params(steps=2), 99))),
        "unknown_field",
        ("Params", "99", "steps"),
    ),
    Row(
        "field from the future",
        pb.InpaintRequest.FromString(from_the_future(inpaint_request(), 98)),
        "unknown_field",
        ("InpaintRequest", "98", "idempotency_key"),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_bad_request_is_refused_with_words(stub: Stub, worker: FlatWorker, row: Row) -> None:
    refused = await refusal(stub.Inpaint(row.request))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.info.reason == row.reason
    assert refused.info.domain == "moebius"
    assert refused.info.metadata["retryable"] == "false"
    assert refused.info.metadata["http_status"] == str(ERROR_TABLE[row.reason].http_status)
    assert all(word in refused.message for word in row.words), refused.message
    assert worker.claims == []


async def test_what_only_the_worker_finds_is_refused_in_the_same_words(
    stub: Stub, worker: FlatWorker
) -> None:
    refused = await refusal(stub.Inpaint(inpaint_request(image=PHOTO[: len(PHOTO) // 2])))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.info.reason == "truncated_image"
    assert "complete" in refused.message
    assert len(worker.claims) == 1


def header() -> pb.InpaintStreamRequest:
    return pb.InpaintStreamRequest(header=pb.InpaintHeader())


def image(data: bytes = PHOTO) -> pb.InpaintStreamRequest:
    return pb.InpaintStreamRequest(image_chunk=data)


def hole() -> pb.InpaintStreamRequest:
    return pb.InpaintStreamRequest(mask_chunk=MASK)


STREAMS = {
    "nothing": ([], "invalid_request", "before its header"),
    "no header": ([image(), hole()], "invalid_request", "first message"),
    "two headers": ([header(), header()], "invalid_request", "once"),
    "an empty message": ([header(), pb.InpaintStreamRequest()], "invalid_request", "empty"),
    "no image": ([header(), hole()], "missing_part", "image"),
    "no mask": ([header(), image()], "missing_part", "mask"),
    "bad parameters": (list(upload(params=pb.Params(steps=0))), "invalid_parameter", "steps"),
    "a part from the future": (
        [header(), pb.InpaintStreamRequest.FromString(from_the_future(pb.InpaintStreamRequest(), 97))],
        "unknown_field",
        "97",
    ),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_bad_stream_is_refused_with_words(stub: Stub, worker: FlatWorker, name: str) -> None:
    messages, reason, words = STREAMS[name]
    refused = await refusal(stub.InpaintStream(iter(messages)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.info.reason == reason
    assert words in refused.message
    assert worker.claims == []


async def test_a_stream_with_too_many_bytes_is_refused_and_its_client_told(stub: Stub) -> None:
    refused = await refusal(
        stub.InpaintStream(iter([header(), *[image(b"\0" * 1000)] * 5 * (LIMIT // 1000)]))
    )
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.info.reason == "payload_too_large"
    assert "100,000" in refused.message


async def test_an_endless_stream_is_refused_while_it_comes(address: str) -> None:
    def endless() -> Iterator[pb.InpaintStreamRequest]:
        yield header()
        while True:
            yield image(b"\0" * 1000)

    def call() -> grpc.RpcError:
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as raised:
            list(InpaintServiceStub(channel).InpaintStream(endless()))
        return raised.value

    assert refusal_of(await asyncio.to_thread(call)).info.reason == "payload_too_large"


@pytest.mark.parametrize(
    "call",
    [
        lambda stub: stub.Inpaint(inpaint_request()),
        lambda stub: stub.InpaintStream(upload()),
        lambda stub: stub.SubmitJob(submit_request()),
    ],
)
async def test_a_full_queue_says_when_to_come_back(
    queue_url: str, settings: Settings, worker: FlatWorker, call: Callable[[Stub], Any]
) -> None:
    small = settings.model_copy(update={"max_queued_jobs": 1})
    async with serving(queue_url, small) as address, grpc.aio.insecure_channel(address) as channel:
        stub = InpaintServiceStub(channel)
        with worker.held():
            await stub.SubmitJob(submit_request())
            refused = await refusal(call(stub))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.info.reason == "queue_full"
    assert refused.info.metadata["retryable"] == "true"
    assert refused.info.metadata["http_status"] == "429"
    assert refused.retry_after is not None
    assert refused.retry_after >= 1


async def test_without_a_worker_the_service_is_unavailable(channel: grpc.aio.Channel) -> None:
    refused = await refusal(InpaintServiceStub(channel).Inpaint(inpaint_request()))
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert refused.info.reason == "not_ready"
    assert refused.retry_after == 5


async def test_a_fault_of_ours_is_internal_and_tells_no_secret(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: QueueClient) -> None:
        raise RuntimeError("the secret of the house")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(QueueClient, "models", broken)
        refused = await refusal(stub.ListModels(pb.ListModelsRequest()))
    assert refused.code is grpc.StatusCode.INTERNAL
    assert refused.info.reason == "internal"
    assert "secret" not in refused.message
    assert "the secret of the house" in caplog.text
    assert (await stub.ListModels(pb.ListModelsRequest())).models[0].name == "moebius-nano"
