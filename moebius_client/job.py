"""A job that goes on without its client, and the client's hold on it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

from moebius_client.job_event import JobEvent
from moebius_client.job_status import JobStatus
from moebius_client.result import Result
from moebius_client.transport import Transport

ProgressCallback = Callable[[JobEvent], None]


class Job:
    """A job by its `id`. It is this client's until its result's lifetime is over, an hour after its end by default."""

    def __init__(self, job_id: str, transport: Transport) -> None:
        self.id = job_id
        self._transport = transport

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def status(self) -> JobStatus:
        """Where it is now. Raises `JobNotFound`."""
        return self._transport.status(self.id)

    def events(self, after: str = "") -> Generator[JobEvent]:
        """Its events, from the first or after the one with that id, up to the terminal one. A lost connection is
        opened again, and goes on where it was.
        """
        return self._transport.events(self.id, after)

    def wait(self, progress: ProgressCallback | None = None) -> Result:
        """Wait for its end, tell `progress` each event on the way, and fetch the result.

        Raises its own error where it ended without a picture: `InvalidPicture`, `JobCancelled`, `JobExpired`, ...
        """
        with closing(self.events()) as events:
            for event in events:
                if progress is not None:
                    progress(event)
        return self.result()

    def result(self) -> Result:
        """What it made. Raises `JobNotFinished` while it waits or runs, and its own error where it has no picture."""
        return self._transport.result(self.id)

    def cancel(self) -> JobStatus:
        """Cancel it, and say where it is then. One that has ended stays as it is."""
        return self._transport.cancel(self.id)
