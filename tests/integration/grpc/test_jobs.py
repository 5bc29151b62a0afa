"""Asynchronous jobs: submit, look, watch, fetch and cancel; each for its own client alone."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

import grpc
import pytest

from service.contracts import Preview, Progress
from service.pb.moebius.v1 import inpaint_pb2 as pb
from tests.integration.edge.live_edge import FlatWorker
from tests.integration.edge.pictures import SIZE, decode
from tests.integration.grpc.calls import Stub, put_together, refusal, submit_request, until

TERMINAL = pb.JOB_EVENT_KIND_SUCCEEDED
Call = Awaitable[Any] | AsyncIterable[Any]
OF_A_JOB: list[Callable[..., Call]] = [
    lambda stub, job_id, **options: stub.GetJob(pb.GetJobRequest(job_id=job_id), **options),
    lambda stub, job_id, **options: stub.GetJobResult(pb.GetJobResultRequest(job_id=job_id), **options),
    lambda stub, job_id, **options: stub.WatchJob(pb.WatchJobRequest(job_id=job_id), **options),
    lambda stub, job_id, **options: stub.CancelJob(pb.CancelJobRequest(job_id=job_id), **options),
]


async def events(stub: Stub, job_id: str, after: str = "") -> list[pb.JobEvent]:
    """All events to the last."""
    request = pb.WatchJobRequest(job_id=job_id, after_event_id=after)
    return [answer.event async for answer in stub.WatchJob(request)]


async def test_a_job_is_submitted_watched_and_fetched(stub: Stub, worker: FlatWorker) -> None:
    submitted = (await stub.SubmitJob(submit_request(params=pb.Params(seed=5, n=2)))).job
    assert submitted.model == "moebius-nano"
    assert 3590 < submitted.deadline.seconds - submitted.create_time.seconds <= 3600
    seen = await events(stub, submitted.id)
    assert next(event.kind for event in seen if event.id) == pb.JOB_EVENT_KIND_QUEUED
    assert seen[-1].kind == TERMINAL
    assert seen[-1].attempt == 1
    job = (await stub.GetJob(pb.GetJobRequest(job_id=submitted.id))).job
    assert job.state == pb.JOB_STATE_SUCCEEDED
    found = await put_together(stub.GetJobResult(pb.GetJobResultRequest(job_id=submitted.id)))
    assert found.result.job_id == submitted.id
    assert [info.seed for info in found.result.pictures] == [5, 6]
    assert [decode(picture).size for picture in found.pictures] == [SIZE, SIZE]
    assert found.pictures[0] != found.pictures[1]


async def test_watching_goes_on_after_the_last_event_seen(stub: Stub, worker: FlatWorker) -> None:
    job = (await stub.SubmitJob(submit_request())).job
    seen = [event for event in await events(stub, job.id) if event.id]
    assert len(seen) >= 3
    assert [event.id for event in await events(stub, job.id, seen[0].id)] == [event.id for event in seen[1:]]


async def test_a_jobs_deadline_is_not_the_calls(stub: Stub, worker: FlatWorker) -> None:
    job = (await stub.SubmitJob(submit_request(params=pb.Params(timeout=100)), timeout=20)).job
    assert 98 < job.deadline.seconds - job.create_time.seconds < 102


async def test_progress_shows_in_a_job(stub: Stub, worker: FlatWorker) -> None:
    with worker.held():
        worker.progress = Progress(4, 20)
        job = (await stub.SubmitJob(submit_request())).job
        async for answer in stub.WatchJob(pb.WatchJobRequest(job_id=job.id)):
            if answer.event.kind == pb.JOB_EVENT_KIND_PROGRESS:
                break
        job = (await stub.GetJob(pb.GetJobRequest(job_id=job.id))).job
        assert (job.state, job.step, job.steps) == (pb.JOB_STATE_RUNNING, 4, 20)
        assert not job.HasField("position")


async def test_a_result_that_is_asked_for_too_early_comes_later(stub: Stub, worker: FlatWorker) -> None:
    with worker.held():
        job = (await stub.SubmitJob(submit_request())).job
        refused = await refusal(stub.GetJobResult(pb.GetJobResultRequest(job_id=job.id)))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.info.reason == "job_not_finished"
    assert refused.retry_after is not None


async def test_a_cancelled_job_stops_and_says_so_everywhere(stub: Stub, worker: FlatWorker) -> None:
    with worker.held():
        job = (await stub.SubmitJob(submit_request())).job
        await until(lambda: len(worker.claims) == 1)
        for _ in range(2):
            cancelled = (await stub.CancelJob(pb.CancelJobRequest(job_id=job.id))).job
            assert cancelled.state == pb.JOB_STATE_CANCELLED
        await until(lambda: job.id in worker.dropped)
    assert (await events(stub, job.id))[-1].kind == pb.JOB_EVENT_KIND_CANCELLED
    refused = await refusal(stub.GetJobResult(pb.GetJobResultRequest(job_id=job.id)))
    assert (refused.code, refused.info.reason) == (grpc.StatusCode.CANCELLED, "job_cancelled")


async def test_a_repeated_submission_with_an_idempotency_key_is_one_job(
    stub: Stub, worker: FlatWorker
) -> None:
    jobs = [(await stub.SubmitJob(submit_request(idempotency_key="k"))).job.id for _ in range(2)]
    assert jobs[0] == jobs[1]


async def test_a_watcher_that_leaves_leaves_the_job_alone(stub: Stub, worker: FlatWorker) -> None:
    with worker.held():
        job = (await stub.SubmitJob(submit_request())).job
        call = stub.WatchJob(pb.WatchJobRequest(job_id=job.id))
        await anext(aiter(call))
        call.cancel()
    assert (await events(stub, job.id))[-1].kind == TERMINAL


@pytest.mark.parametrize("call", OF_A_JOB)
async def test_an_unknown_job_is_not_found(stub: Stub, call: Callable[..., Call]) -> None:
    refused = await refusal(call(stub, "{s0}" + "0" * 32))
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.info.reason == "job_not_found"


@pytest.mark.parametrize("job_id", ["", "nonsense", "{s9}x", "\x00", "{s0}*"])
async def test_what_is_no_job_id_is_not_found(stub: Stub, job_id: str) -> None:
    refused = await refusal(stub.GetJob(pb.GetJobRequest(job_id=job_id)))
    assert refused.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("call", OF_A_JOB)
async def test_another_clients_job_is_not_found(
    stub: Stub, worker: FlatWorker, call: Callable[..., Call]
) -> None:
    mine, theirs = ((("x-forwarded-for", address),) for address in ("192.0.2.1", "192.0.2.2"))
    with worker.held():
        job = (await stub.SubmitJob(submit_request(), metadata=mine)).job
        refused = await refusal(call(stub, job.id, metadata=theirs))
        assert refused.code is grpc.StatusCode.NOT_FOUND
        looked = await stub.GetJob(pb.GetJobRequest(job_id=job.id), metadata=mine)
        assert looked.job.state in (pb.JOB_STATE_QUEUED, pb.JOB_STATE_RUNNING)


async def test_a_preview_and_the_effective_mask_are_told_as_bytes(stub: Stub, worker: FlatWorker) -> None:
    params = pb.Params(preview=4, effective_mask=True)
    with worker.held():
        worker.progress = Progress(4, 20, Preview(b"\xff\xd8 small"))
        job = (await stub.SubmitJob(submit_request(params=params))).job
        async for answer in stub.WatchJob(pb.WatchJobRequest(job_id=job.id)):
            if answer.event.HasField("preview"):
                break
    preview = answer.event.preview
    assert (preview.candidate, preview.content_type, preview.data) == (0, "image/jpeg", b"\xff\xd8 small")
    assert worker.claims[-1].job.params.preview == 4
    await events(stub, job.id)
    found = await put_together(stub.GetJobResult(pb.GetJobResultRequest(job_id=job.id)))
    assert decode(found.result.effective_mask).size == SIZE
