"""gRPC, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import grpc

from moebius_client import grpc_messages as messages
from moebius_client.address import Address
from moebius_client.job_event import JobEvent
from moebius_client.job_status import JobStatus
from moebius_client.result import Result
from moebius_client.served_model import ServedModel
from moebius_client.upload import Upload
from service.pb.moebius.v1 import inpaint_pb2 as pb
from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceStub

if TYPE_CHECKING:
    from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceAsyncStub


class AsyncGrpcTransport:
    """Calls moebius.v1.InpaintService. A short call may take `network_timeout` seconds; a watched job and a result take
    what they take. `channel` is one of your own, for certificates say; it stays open then.
    """

    def __init__(self, address: Address, channel: grpc.aio.Channel | None = None) -> None:
        self._owned = channel is None
        self._channel = channel or _open(address)
        self._stub: InpaintServiceAsyncStub = InpaintServiceStub(self._channel)
        self._said: dict[str, Any] = {"metadata": messages.metadata(address)}
        self._in_time = self._said | {"timeout": address.network_timeout}

    async def submit(self, upload: Upload) -> JobStatus:
        """SubmitJob."""
        request = messages.submit_request(upload)
        with messages.call_errors():
            return messages.job_status((await self._stub.SubmitJob(request, **self._in_time)).job)

    async def status(self, job_id: str) -> JobStatus:
        """GetJob."""
        request = pb.GetJobRequest(job_id=job_id)
        with messages.call_errors():
            return messages.job_status((await self._stub.GetJob(request, **self._in_time)).job)

    async def events(self, job_id: str, after: str = "") -> AsyncGenerator[JobEvent]:
        """WatchJob."""
        request = pb.WatchJobRequest(job_id=job_id, after_event_id=after)
        with messages.call_errors():
            call = self._stub.WatchJob(request, **self._said)
            try:
                async for answer in call:
                    yield messages.job_event(answer.event)
            finally:
                call.cancel()

    async def result(self, job_id: str) -> Result:
        """GetJobResult."""
        parts = messages.ResultParts()
        with messages.call_errors():
            async for part in self._stub.GetJobResult(pb.GetJobResultRequest(job_id=job_id), **self._said):
                parts.add(part)
        return parts.whole()

    async def cancel(self, job_id: str) -> JobStatus:
        """CancelJob."""
        request = pb.CancelJobRequest(job_id=job_id)
        with messages.call_errors():
            return messages.job_status((await self._stub.CancelJob(request, **self._in_time)).job)

    async def models(self) -> list[ServedModel]:
        """ListModels."""
        with messages.call_errors():
            answer = await self._stub.ListModels(pb.ListModelsRequest(), **self._in_time)
        return messages.served_models(answer)

    async def aclose(self) -> None:
        """Close the channel, if it is ours."""
        if self._owned:
            await self._channel.close()


def _open(address: Address) -> grpc.aio.Channel:
    if address.is_encrypted:
        credentials = grpc.ssl_channel_credentials()
        return grpc.aio.secure_channel(address.authority, credentials, options=messages.CHANNEL_OPTIONS)
    return grpc.aio.insecure_channel(address.authority, options=messages.CHANNEL_OPTIONS)
