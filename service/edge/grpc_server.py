"""The gRPC server beside the HTTP one, in the same event loop: its port, its services, and an orderly stop."""

from __future__ import annotations

import errno
import logging

import grpc
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from service.edge.grpc_health import HealthServicer
from service.edge.grpc_interceptor import CallRecord
from service.edge.grpc_service import SERVICE, InpaintServicer
from service.edge.listener import authority, bind
from service.edge.state import EdgeState
from service.pb.moebius.v1.inpaint_pb2_grpc import add_InpaintServiceServicer_to_server
from service.settings import Settings

logger = logging.getLogger(__name__)

HEALTH = "grpc.health.v1.Health"
ENVELOPE = 64 * 1024  # bytes of a message beside its pictures
KEEPALIVE = 30_000  # milliseconds after which a silent client is asked whether it is still there
KEEPALIVE_ANSWER = 20_000  # milliseconds that it has to answer
CLIENT_PINGS = 10_000  # milliseconds between pings of a client, at least: it may watch a job for long


class GrpcServer:
    """Answers InpaintService, health and reflection at `address` ("host:port") from `start` to `stop`."""

    def __init__(self, edge: EdgeState) -> None:
        self._edge = edge
        self._server: grpc.aio.Server | None = None
        self.address = ""

    async def start(self) -> None:
        """Bind the port and begin to answer. Raises OSError where the address can't be bound."""
        settings = self._edge.settings
        server = grpc.aio.server(interceptors=(CallRecord(self._edge.stopping),), options=_options(settings))
        add_InpaintServiceServicer_to_server(InpaintServicer(self._edge), server)
        add_HealthServicer_to_server(HealthServicer(self._edge), server)
        reflection.enable_server_reflection((SERVICE, HEALTH, reflection.SERVICE_NAME), server)
        port = _bound(server, settings.host, settings.grpc_port)
        await server.start()
        self._server = server
        self.address = authority(settings.host, port)
        logger.info("gRPC listens", extra={"address": self.address})

    async def stop(self, grace: float) -> None:
        """Take no new call, let those that run end within `grace` seconds, cancel the rest. A second call with
        less grace hurries the first.
        """
        if self._server is not None:
            await self._server.stop(grace)


def _bound(server: grpc.aio.Server, host: str, port: int) -> int:
    """The port that `server` was bound to."""
    address = authority(host, port)
    try:
        # gRPC tells that it could not bind, but not why; a plain socket does.
        bind(host, port).close()
        return server.add_insecure_port(address)
    except OSError as error:
        why, number = error.strerror, error.errno
    except RuntimeError:
        why, number = "the port was taken a moment ago", errno.EADDRINUSE
    raise OSError(number, f"gRPC can't listen at {address}: {why}. Choose another port with --grpc-port")


def _options(settings: Settings) -> tuple[tuple[str, int], ...]:
    """https://grpc.github.io/grpc/core/group__grpc__arg__keys.html"""
    return (
        ("grpc.so_reuseport", 0),  # two servers must not share a port without knowing
        ("grpc.max_receive_message_length", settings.max_upload_bytes + ENVELOPE),
        ("grpc.max_send_message_length", -1),  # what a client takes is the client's to say
        ("grpc.keepalive_time_ms", KEEPALIVE),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_ANSWER),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", CLIENT_PINGS),
    )
