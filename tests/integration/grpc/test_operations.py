"""What operators and programs ask a gRPC server: health, reflection, keys, models and metrics."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from service import telemetry
from service.pb.moebius.v1 import inpaint_pb2 as pb
from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceStub
from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker
from tests.integration.grpc.calls import (
    Stub,
    health,
    inpaint_request,
    reflect,
    refusal,
    submit_request,
    until,
    upload,
)
from tests.integration.grpc.conftest import serving

SERVICE = "moebius.v1.InpaintService"
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
KEY = "correct-horse"
KEYS = {"alice": hashlib.sha256(KEY.encode()).hexdigest()}
METHODS: dict[str, Callable[..., Any]] = {
    "Inpaint": lambda stub, **options: stub.Inpaint(inpaint_request(), **options),
    "InpaintStream": lambda stub, **options: stub.InpaintStream(upload(), **options),
    "SubmitJob": lambda stub, **options: stub.SubmitJob(submit_request(), **options),
    "GetJob": lambda stub, **options: stub.GetJob(pb.GetJobRequest(job_id="x"), **options),
    "GetJobResult": lambda stub, **options: stub.GetJobResult(pb.GetJobResultRequest(job_id="x"), **options),
    "WatchJob": lambda stub, **options: stub.WatchJob(pb.WatchJobRequest(job_id="x"), **options),
    "CancelJob": lambda stub, **options: stub.CancelJob(pb.CancelJobRequest(job_id="x"), **options),
    "ListModels": lambda stub, **options: stub.ListModels(pb.ListModelsRequest(), **options),
}


@pytest.fixture
async def locked(queue_url: str, settings: Settings, worker: FlatWorker) -> AsyncIterator[Stub]:
    """A client of a server that wants keys."""
    with_keys = settings.model_copy(update={"api_keys": KEYS})
    async with serving(queue_url, with_keys) as address, grpc.aio.insecure_channel(address) as channel:
        yield InpaintServiceStub(channel)


def test_every_method_is_tried_without_a_key() -> None:
    assert set(METHODS) == set(pb.DESCRIPTOR.services_by_name["InpaintService"].methods_by_name)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong"),), (("authorization", KEY),)])
async def test_no_method_answers_without_a_known_key(locked: Stub, method: str, metadata: Any) -> None:
    refused = await refusal(METHODS[method](locked, metadata=metadata))
    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    assert refused.info.reason == "unauthenticated"


async def test_a_key_names_the_client_wherever_it_calls_from(locked: Stub, worker: FlatWorker) -> None:
    answer = await locked.Inpaint(inpaint_request(), metadata=(("authorization", f"Bearer {KEY}"),))
    assert len(answer.pictures) == 1
    assert worker.claims[0].job.client == "key:alice"


async def test_a_client_without_keys_is_its_address_or_what_a_trusted_proxy_says(
    stub: Stub, worker: FlatWorker
) -> None:
    await stub.Inpaint(inpaint_request())
    await stub.Inpaint(inpaint_request(), metadata=(("x-forwarded-for", "198.51.100.7, 192.0.2.1"),))
    assert [claim.job.client for claim in worker.claims] == ["address:127.0.0.1", "address:192.0.2.1"]


async def test_the_models_are_those_that_workers_have_loaded(stub: Stub) -> None:
    (model,) = (await stub.ListModels(pb.ListModelsRequest())).models
    assert (model.name, model.image_size, model.backend) == ("moebius-nano", 64, "dummy")


async def test_without_a_worker_the_list_of_models_is_empty(channel: grpc.aio.Channel) -> None:
    answer = await InpaintServiceStub(channel).ListModels(pb.ListModelsRequest())
    assert list(answer.models) == []


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_health_is_serving_with_queue_and_worker(
    channel: grpc.aio.Channel, worker: FlatWorker, service: str
) -> None:
    answer = await health(channel).Check(HealthCheckRequest(service=service))
    assert answer.status == SERVING


async def test_health_is_not_serving_without_a_worker(channel: grpc.aio.Channel) -> None:
    assert (await health(channel).Check(HealthCheckRequest())).status == NOT_SERVING


async def test_health_of_an_unknown_service_is_not_found(channel: grpc.aio.Channel) -> None:
    refused = await refusal(health(channel).Check(HealthCheckRequest(service="nobody")))
    assert refused.code is grpc.StatusCode.NOT_FOUND
    watch = aiter(health(channel).Watch(HealthCheckRequest(service="nobody")))
    assert (await anext(watch)).status == HealthCheckResponse.SERVICE_UNKNOWN


async def test_watching_health_tells_when_a_worker_comes(
    channel: grpc.aio.Channel, queue_url: str, settings: Settings
) -> None:
    watch = aiter(health(channel).Watch(HealthCheckRequest(service=SERVICE)))
    assert (await anext(watch)).status == NOT_SERVING
    with FlatWorker(queue_url, settings):
        assert (await anext(watch)).status == SERVING


def requests(**fields: str) -> Iterator[ServerReflectionRequest]:
    yield ServerReflectionRequest(**fields)  # type: ignore[arg-type]


async def test_reflection_lists_the_services_and_describes_ours(channel: grpc.aio.Channel) -> None:
    ask = reflect(channel)
    (listed,) = [answer async for answer in ask(requests(list_services=""))]
    names = {service.name for service in listed.list_services_response.service}
    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    (described,) = [answer async for answer in ask(requests(file_containing_symbol=SERVICE))]
    assert pb.DESCRIPTOR.serialized_pb in described.file_descriptor_response.file_descriptor_proto


def counted(method: str, code: str) -> float:
    labels = {"method": method, "code": code}
    return telemetry.REGISTRY.get_sample_value("inpaint_grpc_requests_total", labels) or 0


def timed(mode: str) -> float:
    labels = {"transport": "grpc", "mode": mode}
    return telemetry.REGISTRY.get_sample_value("inpaint_request_duration_seconds_count", labels) or 0


def rejected(reason: str) -> float:
    return telemetry.REGISTRY.get_sample_value("inpaint_rejected_total", {"reason": reason}) or 0


@pytest.mark.parametrize(
    ("call", "method", "code"),
    [
        (lambda channel: InpaintServiceStub(channel).Inpaint(inpaint_request()), f"{SERVICE}/Inpaint", "OK"),
        (
            lambda channel: InpaintServiceStub(channel).GetJob(pb.GetJobRequest()),
            f"{SERVICE}/GetJob",
            "NOT_FOUND",
        ),
        (
            lambda channel: health(channel).Check(HealthCheckRequest(service="x")),
            "grpc.health.v1.Health/Check",
            "NOT_FOUND",
        ),
        (lambda channel: channel.unary_unary("/some.secret/Path")(b""), "unmatched", "UNIMPLEMENTED"),
    ],
)
async def test_every_call_is_counted_by_its_method_and_code(
    channel: grpc.aio.Channel, worker: FlatWorker, call: Callable[..., Any], method: str, code: str
) -> None:
    before = counted(method, code)
    with suppress(grpc.aio.AioRpcError):
        await call(channel)
    # The server counts when its side of the call is over, which may be after the answer.
    await until(lambda: counted(method, code) == before + 1)


async def test_a_call_that_is_left_is_counted_as_such(stub: Stub, worker: FlatWorker) -> None:
    before = counted(f"{SERVICE}/Inpaint", "DEADLINE_EXCEEDED")
    with worker.held():
        await refusal(stub.Inpaint(inpaint_request(), timeout=0.5))
    await until(lambda: counted(f"{SERVICE}/Inpaint", "DEADLINE_EXCEEDED") == before + 1)


async def test_durations_and_refusals_are_counted(stub: Stub) -> None:
    before = timed("sync"), timed("async"), rejected("invalid_parameter"), rejected("missing_part")
    await stub.Inpaint(inpaint_request())
    await stub.SubmitJob(submit_request())
    await refusal(stub.Inpaint(inpaint_request(params=pb.Params(steps=0))))
    await refusal(stub.InpaintStream(upload(mask=b"")))
    after = timed("sync"), timed("async"), rejected("invalid_parameter"), rejected("missing_part")
    assert after == tuple(count + 1 for count in before)
