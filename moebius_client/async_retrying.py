"""The same as retrying.py for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from moebius_client.errors import ConnectionFailed, MoebiusError
from moebius_client.job_event import JobEvent
from moebius_client.job_status import JobStatus
from moebius_client.result import Result
from moebius_client.retry import Attempts, Retry
from moebius_client.retrying import ENDED_EARLY
from moebius_client.served_model import ServedModel
from moebius_client.transport import AsyncTransport
from moebius_client.upload import Upload

Answer = TypeVar("Answer")


class AsyncRetryingTransport:
    """Asks `once` as often as `retry` allows. A call may be sent twice: a job by its key is the same one."""

    def __init__(self, once: AsyncTransport, retry: Retry) -> None:
        self.once = once
        self._retry = retry

    async def submit(self, upload: Upload) -> JobStatus:
        """As `AsyncTransport.submit`."""
        return await self._answer(lambda: self.once.submit(upload))

    async def status(self, job_id: str) -> JobStatus:
        """As `AsyncTransport.status`."""
        return await self._answer(lambda: self.once.status(job_id))

    async def events(self, job_id: str, after: str = "") -> AsyncGenerator[JobEvent]:
        """The job's events up to its terminal one, each once."""
        attempts = Attempts(self._retry)
        while True:
            try:
                async with aclosing(self.once.events(job_id, after)) as events:
                    async for event in events:
                        if event.id not in (
                            "",
                            after,
                        ):  # news without an id are told again at each connection
                            after = event.id
                            attempts.begin_anew()
                        yield event
                        if event.terminal:
                            return
                error: MoebiusError = ConnectionFailed(ENDED_EARLY)
            except MoebiusError as raised:
                error = raised
            await asyncio.sleep(attempts.wait_after(error))

    async def result(self, job_id: str) -> Result:
        """As `AsyncTransport.result`."""
        return await self._answer(lambda: self.once.result(job_id))

    async def cancel(self, job_id: str) -> JobStatus:
        """As `AsyncTransport.cancel`."""
        return await self._answer(lambda: self.once.cancel(job_id))

    async def models(self) -> list[ServedModel]:
        """As `AsyncTransport.models`."""
        return await self._answer(self.once.models)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.once.aclose()

    async def _answer(self, attempt: Callable[[], Awaitable[Answer]]) -> Answer:
        attempts = Attempts(self._retry)
        while True:
            try:
                return await attempt()
            except MoebiusError as error:
                delay = attempts.wait_after(error)
            await asyncio.sleep(delay)
