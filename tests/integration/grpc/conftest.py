"""A real gRPC server on a free port before a real queue, and a worker that fills every hole with one colour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc
import pytest

from service.edge.auth import Authenticator
from service.edge.grpc_server import GrpcServer
from service.edge.state import EdgeState
from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceStub
from service.queue.client import QueueClient
from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker
from tests.integration.grpc.calls import Stub


@asynccontextmanager
async def serving(queue_url: str, settings: Settings) -> AsyncIterator[str]:
    """The address of a server in the test's own event loop."""
    queue = QueueClient(queue_url, settings)
    edge = EdgeState(settings, queue, Authenticator(settings))
    server = GrpcServer(edge)
    await server.start()
    try:
        yield server.address
    finally:
        edge.stopping.set()
        await server.stop(0)
        await queue.aclose()


@pytest.fixture
def settings() -> Settings:
    return Settings(grpc_port=0, trusted_proxies=("127.0.0.1",))


@pytest.fixture
def worker(queue_url: str, settings: Settings) -> Iterator[FlatWorker]:
    with FlatWorker(queue_url, settings) as flat:
        yield flat


@pytest.fixture
async def address(queue_url: str, settings: Settings) -> AsyncIterator[str]:
    async with serving(queue_url, settings) as found:
        yield found


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(address) as connected:
        yield connected


@pytest.fixture
def stub(channel: grpc.aio.Channel, worker: FlatWorker) -> Stub:
    """A client of a server with one worker behind it."""
    return InpaintServiceStub(channel)
