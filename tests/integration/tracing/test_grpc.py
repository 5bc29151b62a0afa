"""A gRPC call is one trace as well, with its context in the metadata both ways."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from service.pb.moebius.v1 import inpaint_pb2 as pb
from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceStub
from service.settings import Settings
from tests.integration.edge.pictures import PHOTO
from tests.integration.grpc.calls import Stub, inpaint_request, put_together, refusal, until, upload
from tests.integration.grpc.conftest import serving
from tests.integration.tracing.kept_spans import (
    CALLER,
    CALLER_SPAN,
    CALLER_TRACE,
    KeptSpans,
    id_of,
    parent_of,
    state_of,
    told,
    trace_of,
)
from tests.integration.worker.running_worker import RunningWorker

StartWorker = Callable[..., RunningWorker]
CONTEXT = tuple(CALLER.items())
SERVICE = "moebius.v1.InpaintService"


@pytest.fixture
async def stub(queue_url: str, settings: Settings) -> AsyncIterator[Stub]:
    on_a_free_port = settings.model_copy(update={"grpc_port": 0})
    async with (
        serving(queue_url, on_a_free_port) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield InpaintServiceStub(channel)


async def ended(spans: KeptSpans, method: str) -> ReadableSpan:
    """The only span of the method; an answer is there a moment before it."""
    await until(lambda: bool(spans.named(f"{SERVICE}/{method}")))
    (span,) = spans.named(f"{SERVICE}/{method}")
    return span


async def test_a_call_is_one_trace_from_its_caller_to_its_picture(
    stub: Stub, start_worker: StartWorker, spans: KeptSpans
) -> None:
    start_worker()
    call = stub.Inpaint(inpaint_request(), metadata=CONTEXT)
    answer = await call
    metadata = dict(await call.trailing_metadata() or ())
    await until(lambda: len(spans.get_finished_spans()) == 11)
    assert spans.tree() == {
        "": {f"{SERVICE}/Inpaint"},
        f"{SERVICE}/Inpaint": {"admit", "enqueue"},
        "enqueue": {"queue wait", "attempt"},
        "attempt": {"decode", "vae encode", "batch join", "denoise", "vae decode", "compose"},
    }
    assert {trace_of(span) for span in spans.get_finished_spans()} == {CALLER_TRACE}
    assert {state_of(span) for span in spans.get_finished_spans()} == {"vendor=opaque"}
    request = await ended(spans, "Inpaint")
    assert metadata["traceresponse"] == f"00-{CALLER_TRACE}-{id_of(request)}-01"
    assert (parent_of(request), request.kind) == (CALLER_SPAN, SpanKind.SERVER)
    assert told(request) == {
        "rpc.system.name": "grpc",
        "rpc.method": f"{SERVICE}/Inpaint",
        "rpc.response.status_code": "OK",
        "moebius.job.id": answer.result.job_id,
    }


async def test_a_stream_is_one_trace(stub: Stub, start_worker: StartWorker, spans: KeptSpans) -> None:
    start_worker()
    found = await put_together(stub.InpaintStream(upload(PHOTO), metadata=CONTEXT))
    await until(lambda: bool(spans.named(f"{SERVICE}/InpaintStream") and spans.named("attempt")))
    assert {trace_of(span) for span in spans.get_finished_spans()} == {CALLER_TRACE}
    assert told(spans.named(f"{SERVICE}/InpaintStream")[0])["moebius.job.id"] == found.result.job_id


async def test_a_stream_that_its_client_leaves_ends_its_spans(
    stub: Stub, start_worker: StartWorker, spans: KeptSpans, caplog: pytest.LogCaptureFixture
) -> None:
    worker = start_worker()
    worker.engine.gate.clear()
    call = stub.InpaintStream(upload(PHOTO), metadata=CONTEXT)
    await until(worker.engine.stepping.is_set)
    call.cancel()
    left = await ended(spans, "InpaintStream")
    assert told(left)["rpc.response.status_code"] == "CANCELLED"
    assert left.status.status_code is StatusCode.UNSET
    worker.engine.gate.set()
    await until(lambda: bool(spans.named("attempt")))
    assert told(spans.named("attempt")[0])["moebius.job.outcome"] == "lost"
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


async def test_a_refusal_names_its_trace_beside_its_details(stub: Stub, spans: KeptSpans) -> None:
    call = stub.Inpaint(inpaint_request(), metadata=CONTEXT)
    refused = await refusal(call)
    assert refused.info.reason == "not_ready"
    request = await ended(spans, "Inpaint")
    metadata = dict(await call.trailing_metadata() or ())
    assert metadata["traceresponse"] == f"00-{CALLER_TRACE}-{id_of(request)}-01"
    assert request.status.status_code is StatusCode.ERROR
    assert told(request)["error.type"] == "UNAVAILABLE"


async def test_a_clients_mistake_is_no_error_of_the_server(stub: Stub, spans: KeptSpans) -> None:
    await refusal(stub.GetJob(pb.GetJobRequest(job_id="s0-0")))
    request = await ended(spans, "GetJob")
    assert told(request)["rpc.response.status_code"] == "NOT_FOUND"
    assert request.status.status_code is StatusCode.UNSET


async def test_a_malformed_context_is_ignored(stub: Stub, spans: KeptSpans) -> None:
    await stub.ListModels(
        pb.ListModelsRequest(), metadata=(("traceparent", f"00-{'0' * 32}-{CALLER_SPAN}-01"),)
    )
    assert (await ended(spans, "ListModels")).parent is None


async def test_without_an_endpoint_an_answer_names_no_trace(stub: Stub) -> None:
    call = stub.ListModels(pb.ListModelsRequest(), metadata=CONTEXT)
    await call
    assert "traceresponse" not in dict(await call.trailing_metadata() or ())
