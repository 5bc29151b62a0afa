"""Synchronous calls, in one message and in chunks."""

from __future__ import annotations

import asyncio

import grpc
import numpy as np
import pytest
from PIL import Image

from service.contracts import Progress
from service.pb.moebius.v1 import inpaint_pb2 as pb
from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceStub
from tests.integration.edge.live_edge import FlatWorker
from tests.integration.edge.pictures import PHOTO, SIZE, decode, encode, mask
from tests.integration.grpc.calls import (
    Stub,
    inpaint_request,
    put_together,
    refusal,
    until,
    upload,
)

DEFAULT_LIMIT = 4 * 1024 * 1024  # bytes of a message that a client takes unless told otherwise
LARGE = (1500, 1300)


def noise() -> Image.Image:
    """A photo whose PNG has more than 4 MB."""
    pixels = np.random.default_rng(0).integers(0, 256, (LARGE[1], LARGE[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


async def test_the_hole_of_a_photo_is_filled(stub: Stub) -> None:
    answer = await stub.Inpaint(inpaint_request(params=pb.Params(seed=7, n=2)))
    assert [info.seed for info in answer.result.pictures] == [7, 8]
    assert [info.size for info in answer.result.pictures] == [len(data) for data in answer.pictures]
    assert answer.pictures[0] != answer.pictures[1]
    assert answer.result.pictures[0].content_type == "image/png"
    assert answer.result.model == "moebius-nano"
    assert answer.result.stage_seconds["decode"] > 0
    assert len(answer.result.boxes) == 1
    assert decode(answer.pictures[0]).size == SIZE
    before, after = np.asarray(decode(PHOTO)), np.asarray(decode(answer.pictures[0]))
    assert (before[0] == after[0]).all()
    assert (before[SIZE[1] // 3 + 6, SIZE[0] // 3 + 6] != after[SIZE[1] // 3 + 6, SIZE[0] // 3 + 6]).any()


async def test_parameters_reach_the_worker_as_they_were_sent(stub: Stub, worker: FlatWorker) -> None:
    params = pb.Params(
        steps=3,
        guidance_scale=1.5,
        strategy=pb.STRATEGY_RESIZE,
        output_format=pb.OUTPUT_FORMAT_JPEG,
        priority=pb.PRIORITY_BATCH,
        color_match=False,
    )
    answer = await stub.Inpaint(inpaint_request(params=params))
    sent = worker.claims[0].job.params
    assert (sent.steps, sent.guidance_scale, sent.strategy, sent.priority) == (3, 1.5, "resize", "batch")
    assert sent.color_match is False
    assert sent.keep_metadata is True
    assert answer.result.pictures[0].content_type == "image/jpeg"


async def test_pictures_over_four_megabytes_go_both_ways_in_chunks(stub: Stub) -> None:
    image = encode(noise())
    assert len(image) > DEFAULT_LIMIT
    found = await put_together(
        stub.InpaintStream(upload(image, encode(mask(LARGE)), params=pb.Params(seed=3)))
    )
    assert found.largest_message < DEFAULT_LIMIT
    assert len(found.pictures[0]) == found.result.pictures[0].size > DEFAULT_LIMIT
    assert found.result.pictures[0].seed == 3
    assert (np.asarray(decode(found.pictures[0]))[0] == np.asarray(noise())[0]).all()


async def test_a_client_with_a_higher_limit_sends_and_gets_large_pictures_in_one_message(
    address: str, worker: FlatWorker
) -> None:
    request = inpaint_request(image=encode(noise()), mask=encode(mask(LARGE)))
    options = (("grpc.max_receive_message_length", 30_000_000),)
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        answer = await InpaintServiceStub(channel).Inpaint(request)
    assert len(answer.pictures[0]) > DEFAULT_LIMIT


async def test_progress_is_told_before_the_picture(stub: Stub, worker: FlatWorker) -> None:
    with worker.held():
        worker.progress = Progress(3, 20)
        parts = aiter(stub.InpaintStream(upload()))
        kinds = []
        while (part := await anext(parts)).event.kind != pb.JOB_EVENT_KIND_PROGRESS:
            kinds.append(part.event.kind)
    assert (part.event.step, part.event.steps) == (3, 20)
    assert pb.JOB_EVENT_KIND_RUNNING in kinds
    found = await put_together(parts)
    assert decode(found.pictures[0]).size == SIZE
    assert all(event.kind == pb.JOB_EVENT_KIND_PROGRESS for event in found.events)


@pytest.mark.parametrize("streaming", [False, True])
async def test_the_calls_deadline_is_the_jobs(stub: Stub, worker: FlatWorker, streaming: bool) -> None:
    with worker.held():
        call = (
            stub.InpaintStream(upload(), timeout=1)
            if streaming
            else stub.Inpaint(inpaint_request(), timeout=1)
        )
        refused = await refusal(call)
        assert refused.code is grpc.StatusCode.DEADLINE_EXCEEDED
        job = worker.claims[0].job
        await until(lambda: job.id in worker.dropped)
    assert worker.claims[0].remaining <= 1


async def test_a_shorter_timeout_of_the_parameters_wins(stub: Stub, worker: FlatWorker) -> None:
    with worker.held():
        refused = await refusal(stub.Inpaint(inpaint_request(params=pb.Params(timeout=0.5)), timeout=30))
    assert refused.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refused.info.reason == "job_expired"
    assert refused.info.metadata["retryable"] == "true"


@pytest.mark.parametrize("streaming", [False, True])
async def test_cancelling_the_call_cancels_the_work(stub: Stub, worker: FlatWorker, streaming: bool) -> None:
    with worker.held():
        call = stub.InpaintStream(upload()) if streaming else stub.Inpaint(inpaint_request())
        await until(lambda: len(worker.claims) == 1)
        call.cancel()
        await until(lambda: worker.claims[0].job.id in worker.dropped)
        assert await call.code() is grpc.StatusCode.CANCELLED


async def test_a_cancelled_call_with_an_idempotency_key_goes_on_and_its_repeat_gets_the_job(
    stub: Stub, worker: FlatWorker
) -> None:
    request = inpaint_request(idempotency_key="once")
    with worker.held():
        call = stub.Inpaint(request, timeout=30)
        await until(lambda: len(worker.claims) == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    answer = await stub.Inpaint(request, timeout=20)
    assert answer.result.job_id == worker.claims[0].job.id
    assert len(worker.claims) == 1
    refused = await refusal(stub.Inpaint(inpaint_request(idempotency_key="once", params=pb.Params(steps=2))))
    assert refused.info.reason == "idempotency_conflict"
