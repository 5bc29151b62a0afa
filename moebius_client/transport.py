"""What a client asks of a service, whatever carries it. Each call is one attempt; errors are those of errors.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Protocol

from moebius_client.job_event import JobEvent
from moebius_client.job_status import JobStatus
from moebius_client.result import Result
from moebius_client.served_model import ServedModel
from moebius_client.upload import Upload


class Transport(Protocol):
    """Carries calls and waits for their answers; safe to be used by several threads."""

    def submit(self, upload: Upload) -> JobStatus:
        """Queue a job."""

    def status(self, job_id: str) -> JobStatus:
        """Where a job is."""

    def events(self, job_id: str, after: str = "") -> Generator[JobEvent]:
        """The job's events after the one with the id `after`; from the start if empty. May end before the job."""

    def result(self, job_id: str) -> Result:
        """What a job made."""

    def cancel(self, job_id: str) -> JobStatus:
        """Cancel a job; one that has ended stays as it is."""

    def models(self) -> list[ServedModel]:
        """What is served, the default first."""

    def close(self) -> None:
        """Close the connections."""


class AsyncTransport(Protocol):
    """The same for asyncio."""

    async def submit(self, upload: Upload) -> JobStatus:
        """Queue a job."""

    async def status(self, job_id: str) -> JobStatus:
        """Where a job is."""

    def events(self, job_id: str, after: str = "") -> AsyncGenerator[JobEvent]:
        """The job's events after the one with the id `after`; from the start if empty. May end before the job."""

    async def result(self, job_id: str) -> Result:
        """What a job made."""

    async def cancel(self, job_id: str) -> JobStatus:
        """Cancel a job; one that has ended stays as it is."""

    async def models(self) -> list[ServedModel]:
        """What is served, the default first."""

    async def aclose(self) -> None:
        """Close the connections."""
