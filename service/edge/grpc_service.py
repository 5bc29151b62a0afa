"""The methods of moebius.v1.InpaintService, and nothing else: read the request, call a handler, answer.

They raise the errors of service/errors.py; the interceptor makes statuses of them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing

from service import telemetry
from service.contracts import Params
from service.edge import handlers
from service.edge.grpc_context import Context, client_name, seconds_left
from service.edge.grpc_messages import (
    event_message,
    job_message,
    model_message,
    params_from_message,
    picture_chunks,
    refuse_unknown_fields,
    result_message,
)
from service.edge.grpc_uploads import Upload, lingering, read_upload, refuse_absence, refuse_size
from service.edge.state import EdgeState
from service.pb.moebius.v1 import inpaint_pb2 as pb
from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceServicer

SERVICE = pb.DESCRIPTOR.services_by_name["InpaintService"].full_name
LONGEST_TIMEOUT = 86_400.0  # seconds; of `Params.timeout`


class InpaintServicer(InpaintServiceServicer):
    """Comments of the methods are in proto/moebius/v1/inpaint.proto."""

    def __init__(self, edge: EdgeState) -> None:
        self._edge = edge
        self._queue = edge.queue

    async def Inpaint(self, request: pb.InpaintRequest, context: Context) -> pb.InpaintResponse:
        """Unary and synchronous."""
        with telemetry.counting_rejections():
            asked = self._asked(self._client(context), self._upload(request), seconds_left(context))
        answer = await handlers.inpaint(self._queue, self._edge.settings, asked)
        return pb.InpaintResponse(result=result_message(answer), pictures=answer.result.pictures)

    async def InpaintStream(
        self, request_iterator: AsyncIterator[pb.InpaintStreamRequest], context: Context
    ) -> AsyncGenerator[pb.InpaintStreamResponse]:
        """Chunks in; events, then chunks out."""
        with telemetry.counting_rejections():
            async with lingering(request_iterator):
                client = self._client(context)
                upload = await read_upload(request_iterator, self._edge.settings.max_upload_bytes)
            asked = self._asked(client, upload, seconds_left(context))
        async with aclosing(handlers.inpaint_events(self._queue, self._edge.settings, asked)) as items:
            async for item in items:
                if isinstance(item, handlers.InpaintAnswer):
                    for part in _parts(item):
                        yield part
                else:
                    yield pb.InpaintStreamResponse(event=event_message(item))

    async def SubmitJob(self, request: pb.SubmitJobRequest, context: Context) -> pb.SubmitJobResponse:
        """Unary; the call's deadline is not the job's."""
        with telemetry.counting_rejections():
            asked = self._asked(self._client(context), self._upload(request), None)
        status = await handlers.submit(self._queue, self._edge.settings, asked)
        return pb.SubmitJobResponse(job=job_message(status))

    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        """Unary."""
        status = await handlers.job_status(self._queue, request.job_id, self._known_client(context))
        return pb.GetJobResponse(job=job_message(status))

    async def GetJobResult(
        self, request: pb.GetJobResultRequest, context: Context
    ) -> AsyncGenerator[pb.GetJobResultResponse]:
        """Chunks out."""
        answer = await handlers.job_result(self._queue, request.job_id, self._known_client(context))
        yield pb.GetJobResultResponse(result=result_message(answer))
        for chunk in picture_chunks(answer):
            yield pb.GetJobResultResponse(picture_chunk=chunk)

    async def WatchJob(
        self, request: pb.WatchJobRequest, context: Context
    ) -> AsyncGenerator[pb.WatchJobResponse]:
        """Events out."""
        client = self._known_client(context)
        events = handlers.job_events(self._queue, request.job_id, client, request.after_event_id)
        async with aclosing(events):
            async for event in events:
                yield pb.WatchJobResponse(event=event_message(event))

    async def CancelJob(self, request: pb.CancelJobRequest, context: Context) -> pb.CancelJobResponse:
        """Unary."""
        status = await handlers.cancel_job(self._queue, request.job_id, self._known_client(context))
        return pb.CancelJobResponse(job=job_message(status))

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        """Unary; an empty list where no worker is."""
        del request
        self._known_client(context)
        models = await self._queue.models()
        return pb.ListModelsResponse(models=[model_message(model) for model in models])

    def _client(self, context: Context) -> str:
        return client_name(self._edge.authenticator, context)

    def _known_client(self, context: Context) -> str:
        with telemetry.counting_rejections():
            return self._client(context)

    def _upload(self, request: pb.InpaintRequest | pb.SubmitJobRequest) -> Upload:
        refuse_unknown_fields(request)
        refuse_size(len(request.image) + len(request.mask), self._edge.settings.max_upload_bytes)
        refuse_absence(request.image, request.mask)
        return Upload(request.image, request.mask, request.params, request.idempotency_key)

    def _asked(self, client: str, upload: Upload, seconds: float | None) -> handlers.InpaintRequest:
        return handlers.InpaintRequest(
            client=client,
            image=upload.image,
            mask=upload.mask,
            params=_within(params_from_message(upload.params), seconds),
            transport="grpc",
            idempotency_key=upload.idempotency_key or None,
        )


def _within(params: Params, seconds: float | None) -> Params:
    """`params` with the shorter of their timeout and the call's."""
    if seconds is None:
        return params
    return params.model_copy(update={"timeout": min(params.timeout or LONGEST_TIMEOUT, seconds)})


def _parts(answer: handlers.InpaintAnswer) -> Iterator[pb.InpaintStreamResponse]:
    yield pb.InpaintStreamResponse(result=result_message(answer))
    for chunk in picture_chunks(answer):
        yield pb.InpaintStreamResponse(picture_chunk=chunk)
