"""The client for asyncio."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self, Unpack

from moebius_client.address import address_of, open_async_transport
from moebius_client.async_job import AsyncJob, AsyncProgressCallback
from moebius_client.async_retrying import AsyncRetryingTransport
from moebius_client.client import DEFAULT_TIMEOUT
from moebius_client.errors import JobNotFound, MoebiusError, QueueLost, ServiceError
from moebius_client.job_status import JobStatus
from moebius_client.parameters import Parameters
from moebius_client.pictures import Picture
from moebius_client.result import Result
from moebius_client.retry import DEFAULT_RETRY, Retry
from moebius_client.served_model import ServedModel
from moebius_client.submission import LAST_ANSWER_TIMEOUT, UNANSWERED
from moebius_client.transport import AsyncTransport
from moebius_client.upload import Upload, make_upload

logger = logging.getLogger(__name__)


class AsyncClient:
    """As `Client`, with coroutines. Belongs to the event loop that it is first used in."""

    def __init__(
        self,
        server: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        network_timeout: float = 60.0,
        retry: Retry = DEFAULT_RETRY,
        transport: AsyncTransport | None = None,
    ) -> None:
        once = transport or open_async_transport(address_of(server, api_key, network_timeout))
        self._timeout = timeout
        self._transport = AsyncRetryingTransport(once, retry)

    async def inpaint(
        self,
        image: Picture,
        mask: Picture,
        *,
        progress: AsyncProgressCallback | None = None,
        idempotency_key: str | None = None,
        **parameters: Unpack[Parameters],
    ) -> Result:
        """As `Client.inpaint`. `progress` may be a coroutine function. Being cancelled cancels the job."""
        parameters.setdefault("timeout", self._timeout)
        upload = await asyncio.to_thread(make_upload, image, mask, parameters, idempotency_key)
        try:
            return await self._run(upload, progress)
        except (QueueLost, JobNotFound):  # the queue began anew, and knows nothing of it: once more
            return await self._run(upload, progress)

    async def submit(
        self,
        image: Picture,
        mask: Picture,
        *,
        idempotency_key: str | None = None,
        **parameters: Unpack[Parameters],
    ) -> AsyncJob:
        """As `Client.submit`."""
        upload = await asyncio.to_thread(make_upload, image, mask, parameters, idempotency_key)
        return self.job((await self._transport.submit(upload)).id)

    def job(self, job_id: str) -> AsyncJob:
        """A job that was submitted before, here or elsewhere by the same client."""
        return AsyncJob(job_id, self._transport)

    async def models(self) -> list[ServedModel]:
        """What is served now, the default first."""
        return await self._transport.models()

    async def aclose(self) -> None:
        """Close the connections. Jobs go on."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _run(self, upload: Upload, progress: AsyncProgressCallback | None) -> Result:
        job = await self._submitted(upload)
        try:
            return await job.wait(progress)
        except ServiceError:
            raise
        except BaseException:
            await self._abandon(job)
            raise

    async def _submitted(self, upload: Upload) -> AsyncJob:
        attempt = asyncio.create_task(self._transport.submit(upload))
        try:
            return self.job((await asyncio.shield(attempt)).id)
        except asyncio.CancelledError:
            await self._take_back(attempt)
            raise

    async def _take_back(self, attempt: asyncio.Task[JobStatus]) -> None:
        """Have the job cancelled that the service may have got already; its answer is waited for, a moment."""
        try:
            answered, _ = await asyncio.wait({attempt}, timeout=LAST_ANSWER_TIMEOUT)
        finally:
            attempt.cancel()
        if not answered:
            logger.warning(UNANSWERED)
        elif attempt.exception() is None:
            await self._abandon(self.job(attempt.result().id))

    async def _abandon(self, job: AsyncJob) -> None:
        """Nobody waits for it any more. Tried once: whoever leaves wants to leave."""
        try:
            await self._transport.once.cancel(job.id)
        except MoebiusError as error:
            logger.warning("%s could not be cancelled and goes on to its timeout: %s", job, error)
