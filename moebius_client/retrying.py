"""A transport that tries again what may succeed in a moment, and watches a job to its end over several connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from moebius_client.errors import ConnectionFailed, MoebiusError
from moebius_client.job_event import JobEvent
from moebius_client.job_status import JobStatus
from moebius_client.result import Result
from moebius_client.retry import Attempts, Retry
from moebius_client.served_model import ServedModel
from moebius_client.transport import Transport
from moebius_client.upload import Upload

Answer = TypeVar("Answer")
ENDED_EARLY = "The stream of events ended before the job did."


class RetryingTransport:
    """Asks `once` as often as `retry` allows. A call may be sent twice: a job by its key is the same one."""

    def __init__(self, once: Transport, retry: Retry) -> None:
        self.once = once
        self._retry = retry

    def submit(self, upload: Upload) -> JobStatus:
        """As `Transport.submit`."""
        return self._answer(lambda: self.once.submit(upload))

    def status(self, job_id: str) -> JobStatus:
        """As `Transport.status`."""
        return self._answer(lambda: self.once.status(job_id))

    def events(self, job_id: str, after: str = "") -> Generator[JobEvent]:
        """The job's events up to its terminal one, each once."""
        attempts = Attempts(self._retry)
        while True:
            try:
                with closing(self.once.events(job_id, after)) as events:
                    for event in events:
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
            time.sleep(attempts.wait_after(error))

    def result(self, job_id: str) -> Result:
        """As `Transport.result`."""
        return self._answer(lambda: self.once.result(job_id))

    def cancel(self, job_id: str) -> JobStatus:
        """As `Transport.cancel`."""
        return self._answer(lambda: self.once.cancel(job_id))

    def models(self) -> list[ServedModel]:
        """As `Transport.models`."""
        return self._answer(self.once.models)

    def close(self) -> None:
        """Close the connections."""
        self.once.close()

    def _answer(self, attempt: Callable[[], Answer]) -> Answer:
        attempts = Attempts(self._retry)
        while True:
            try:
                return attempt()
            except MoebiusError as error:
                delay = attempts.wait_after(error)
            time.sleep(delay)
