"""`moebius serve` over gRPC."""

from __future__ import annotations

import re
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceStub
from tests.e2e.serving import serving
from tests.integration.edge.pictures import SIZE, decode
from tests.integration.grpc.calls import inpaint_request

ADDRESS = re.compile(r"gRPC at ([^\s)]+)")


@pytest.mark.slow
def test_the_service_tells_where_grpc_is_and_answers_there() -> None:
    with serving() as service:
        service.await_ready()
        address = ADDRESS.search("".join(service.output))
        assert address is not None
        with grpc.insecure_channel(address[1]) as channel:
            health: Any = HealthStub(channel)
            assert health.Check(HealthCheckRequest()).status == HealthCheckResponse.SERVING
            answer = InpaintServiceStub(channel).Inpaint(inpaint_request(), timeout=60)
            assert decode(answer.pictures[0]).size == SIZE
            with serving("--grpc-port", address[1].rpartition(":")[2]) as second:
                assert second.end() == 1
                assert f"gRPC can't listen at {address[1]}: Address already in use" in second.log.read_text()
