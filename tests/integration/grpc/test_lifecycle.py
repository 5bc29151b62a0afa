"""The gRPC server as a part of an edge: its port, its start and its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import grpc
import httpx
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from service.edge.auth import Authenticator
from service.edge.grpc_server import GrpcServer
from service.edge.listener import bind
from service.edge.server import Addresses, EdgeServer, edge_server
from service.edge.state import EdgeState
from service.pb.moebius.v1 import inpaint_pb2 as pb
from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceStub
from service.queue.client import QueueClient
from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker
from tests.integration.edge.live_edge import until as wait_until
from tests.integration.grpc.calls import health, inpaint_request, reflect, refusal, submit_request, until


@asynccontextmanager
async def server_at(queue_url: str, settings: Settings) -> AsyncIterator[tuple[GrpcServer, EdgeState]]:
    queue = QueueClient(queue_url, settings)
    edge = EdgeState(settings, queue, Authenticator(settings))
    server = GrpcServer(edge)
    try:
        yield server, edge
    finally:
        await server.stop(0)
        await queue.aclose()


async def test_a_taken_port_is_refused_and_never_shared(queue_url: str, settings: Settings) -> None:
    async with server_at(queue_url, settings) as (first, _):
        await first.start()
        port = int(first.address.rpartition(":")[2])
        taken = settings.model_copy(update={"grpc_port": port})
        async with server_at(queue_url, taken) as (second, _):
            with pytest.raises(OSError, match=r"gRPC can't listen at 127.0.0.1:.* Address already in use"):
                await second.start()


async def test_watchers_leave_when_the_server_stops_and_work_ends_first(
    queue_url: str, settings: Settings, worker: FlatWorker
) -> None:
    async with server_at(queue_url, settings) as (server, edge):
        await server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            stub = InpaintServiceStub(channel)
            with worker.held():
                work = asyncio.ensure_future(stub.Inpaint(inpaint_request()))
                await until(lambda: len(worker.claims) == 1)
                job = (await stub.SubmitJob(submit_request())).job
                watched = aiter(stub.WatchJob(pb.WatchJobRequest(job_id=job.id)))
                await anext(watched)
                statuses = aiter(health(channel).Watch(HealthCheckRequest()))
                assert (await anext(statuses)).status == HealthCheckResponse.SERVING
                reflected = reflect(channel)()
                await reflected.write(ServerReflectionRequest(list_services=""))
                await reflected.read()
                edge.stopping.set()
                stopped = asyncio.ensure_future(server.stop(30))
                assert (await anext(statuses)).status == HealthCheckResponse.NOT_SERVING
                assert [part async for part in statuses] == []
                refused = await refusal(watched)
                assert (refused.code, refused.info.reason) == (grpc.StatusCode.UNAVAILABLE, "not_ready")
                assert await reflected.code() is grpc.StatusCode.UNAVAILABLE
                assert not stopped.done()
            assert len((await work).pictures) == 1
            await stopped


async def test_work_that_outlasts_the_drain_time_is_cancelled(
    queue_url: str, settings: Settings, worker: FlatWorker
) -> None:
    async with server_at(queue_url, settings) as (server, edge):
        await server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            with worker.held():
                work = InpaintServiceStub(channel).Inpaint(inpaint_request())
                await until(lambda: len(worker.claims) == 1)
                edge.stopping.set()
                await server.stop(0.2)
                await until(lambda: worker.claims[0].job.id in worker.dropped)
                assert (await refusal(work)).code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


@contextmanager
def running_edge(queue_url: str, settings: Settings) -> Iterator[tuple[EdgeServer, Addresses]]:
    """An edge in a thread of its own, with both its addresses; it is told to stop at the end."""
    found: list[Addresses] = []
    listening = threading.Event()

    def on_ready(addresses: Addresses) -> None:
        found.append(addresses)
        listening.set()

    server = edge_server(settings, queue_url, on_ready=on_ready)
    thread = threading.Thread(
        target=lambda: server.run(sockets=[bind(settings.host, settings.port)]), daemon=True
    )
    thread.start()
    assert listening.wait(20), "the edge did not start"
    try:
        yield server, found[0]
    finally:
        server.should_exit = True
        thread.join()


def test_an_edge_answers_http_and_grpc_and_drains_both(queue_url: str) -> None:
    settings = Settings(port=0, grpc_port=0, drain_timeout=20)
    answers: list[pb.InpaintResponse] = []
    with FlatWorker(queue_url, settings) as worker, running_edge(queue_url, settings) as (server, addresses):
        assert httpx.get(f"{addresses.http}/readyz").status_code == 200
        with grpc.insecure_channel(addresses.grpc) as channel:
            stub = InpaintServiceStub(channel)
            with worker.held():
                call = threading.Thread(target=lambda: answers.append(stub.Inpaint(inpaint_request())))
                call.start()
                wait_until(lambda: len(worker.claims) == 1)
                server.should_exit = True
                wait_until(lambda: not listens(addresses.grpc))
            call.join()
    assert len(answers[0].pictures) == 1


def test_an_edge_cancels_what_outlasts_its_drain_time_before_it_leaves_the_queue(queue_url: str) -> None:
    settings = Settings(port=0, grpc_port=0, drain_timeout=0.2)
    with FlatWorker(queue_url, settings) as worker, worker.held():
        with running_edge(queue_url, settings) as (_, addresses):
            channel = grpc.insecure_channel(addresses.grpc)
            call = InpaintServiceStub(channel).Inpaint.future(inpaint_request())
            wait_until(lambda: len(worker.claims) == 1)
        wait_until(lambda: worker.claims[0].job.id in worker.dropped)
        assert call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        channel.close()


def listens(address: str) -> bool:
    """Whether a new connection is taken."""
    try:
        bind(address.rpartition(":")[0], int(address.rpartition(":")[2])).close()
    except OSError:
        return True
    return False


def test_a_second_interrupt_ends_an_edge_at_once(queue_url: str) -> None:
    settings = Settings(port=0, grpc_port=0, drain_timeout=3600)
    with FlatWorker(queue_url, settings) as worker, worker.held():
        with running_edge(queue_url, settings) as (server, addresses):
            channel = grpc.insecure_channel(addresses.grpc)
            call = InpaintServiceStub(channel).Inpaint.future(inpaint_request())
            wait_until(lambda: len(worker.claims) == 1)
            server.should_exit = True
            wait_until(lambda: not listens(addresses.grpc))
            server.force_exit = True
        assert call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        channel.close()


def test_an_edge_whose_grpc_port_is_taken_says_so_and_leaves_nothing(queue_url: str) -> None:
    with bind("127.0.0.1", 0) as other, bind("127.0.0.1", 0) as listener:
        other.listen()
        settings = Settings(port=0, grpc_port=other.getsockname()[1])
        server = edge_server(settings, queue_url, on_ready=lambda _: None)
        with pytest.raises(OSError, match="Address already in use"):
            server.run(sockets=[listener])
