"""The same as job.py for asyncio."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from moebius_client.job_event import JobEvent
from moebius_client.job_status import JobStatus
from moebius_client.result import Result
from moebius_client.transport import AsyncTransport

AsyncProgressCallback = Callable[[JobEvent], Awaitable[None] | None]


class AsyncJob:
    """A job by its `id`. It is this client's until its result's lifetime is over, an hour after its end by default."""

    def __init__(self, job_id: str, transport: AsyncTransport) -> None:
        self.id = job_id
        self._transport = transport

    def __repr__(self) -> str:
        return f"AsyncJob({self.id!r})"

    async def status(self) -> JobStatus:
        """Where it is now. Raises `JobNotFound`."""
        return await self._transport.status(self.id)

    def events(self, after: str = "") -> AsyncGenerator[JobEvent]:
        """Its events, from the first or after the one with that id, up to the terminal one. A lost connection is
        opened again, and goes on where it was.
        """
        return self._transport.events(self.id, after)

    async def wait(self, progress: AsyncProgressCallback | None = None) -> Result:
        """Wait for its end, tell `progress` (a function or a coroutine function) each event on the way, and fetch the
        result.

        Raises its own error where it ended without a picture: `InvalidPicture`, `JobCancelled`, `JobExpired`, ...
        """
        async with aclosing(self.events()) as events:
            async for event in events:
                told = progress(event) if progress is not None else None
                if inspect.isawaitable(told):
                    await told
        return await self.result()

    async def result(self) -> Result:
        """What it made. Raises `JobNotFinished` while it waits or runs, and its own error where it has no picture."""
        return await self._transport.result(self.id)

    async def cancel(self) -> JobStatus:
        """Cancel it, and say where it is then. One that has ended stays as it is."""
        return await self._transport.cancel(self.id)
