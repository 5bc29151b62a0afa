"""The client for code without asyncio."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self, Unpack

from moebius_client.address import address_of, open_transport
from moebius_client.errors import JobNotFound, MoebiusError, QueueLost, ServiceError
from moebius_client.job import Job, ProgressCallback
from moebius_client.parameters import Parameters
from moebius_client.pictures import Picture
from moebius_client.result import Result
from moebius_client.retry import DEFAULT_RETRY, Retry
from moebius_client.retrying import RetryingTransport
from moebius_client.served_model import ServedModel
from moebius_client.submission import Submission
from moebius_client.transport import Transport
from moebius_client.upload import Upload, make_upload

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 120.0  # seconds


class Client:
    """A service at `server`: http://host:port, https://host, grpc://host:port or grpcs://host:port; left out,
    MOEBIUS_SERVER of the environment, or http://localhost:8080. May be used by several threads.

    `api_key`: where the service asks for one; left out, MOEBIUS_KEY of the environment. `timeout`: seconds that
    `inpaint` gives a job where its `timeout` is left out. `network_timeout`: seconds without a byte after which a
    connection counts as lost. `retry`: what is tried again, and how often. `transport`: one of your own in place of
    `server`.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        network_timeout: float = 60.0,
        retry: Retry = DEFAULT_RETRY,
        transport: Transport | None = None,
    ) -> None:
        once = transport or open_transport(address_of(server, api_key, network_timeout))
        self._timeout = timeout
        self._transport = RetryingTransport(once, retry)

    def inpaint(
        self,
        image: Picture,
        mask: Picture,
        *,
        progress: ProgressCallback | None = None,
        idempotency_key: str | None = None,
        **parameters: Unpack[Parameters],
    ) -> Result:
        """Fill the hole of a picture, and wait for it. The parameters are those of `Parameters`.

        A picture is a path, bytes, an open binary file, a PIL image or a NumPy array (`picture_bytes`). `progress` is
        told each event. A lost connection loses nothing; to leave before the end (Ctrl-C, an error in `progress`)
        cancels the work.

        Raises `InvalidInput`, `ServiceError`, `ConnectionFailed`, TypeError for an unknown parameter, and OSError for a
        file that can't be read.
        """
        parameters.setdefault("timeout", self._timeout)
        upload = make_upload(image, mask, parameters, idempotency_key)
        try:
            return self._run(upload, progress)
        except (QueueLost, JobNotFound):  # the queue began anew, and knows nothing of it: once more
            return self._run(upload, progress)

    def submit(
        self,
        image: Picture,
        mask: Picture,
        *,
        idempotency_key: str | None = None,
        **parameters: Unpack[Parameters],
    ) -> Job:
        """Queue a job, and go on. Raises what `inpaint` raises at its beginning."""
        upload = make_upload(image, mask, parameters, idempotency_key)
        return self.job(self._transport.submit(upload).id)

    def job(self, job_id: str) -> Job:
        """A job that was submitted before, here or elsewhere by the same client."""
        return Job(job_id, self._transport)

    def models(self) -> list[ServedModel]:
        """What is served now, the default first."""
        return self._transport.models()

    def close(self) -> None:
        """Close the connections. Jobs go on."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, upload: Upload, progress: ProgressCallback | None) -> Result:
        job = self._submitted(upload)
        try:
            return job.wait(progress)
        except ServiceError:
            raise
        except BaseException:
            self._abandon(job)
            raise

    def _submitted(self, upload: Upload) -> Job:
        submission = Submission(lambda: self._transport.submit(upload))
        try:
            return self.job(submission.status().id)
        except BaseException:
            submission.take_back(lambda status: self._abandon(self.job(status.id)))
            raise

    def _abandon(self, job: Job) -> None:
        """Nobody waits for it any more. Tried once: whoever leaves wants to leave."""
        try:
            self._transport.once.cancel(job.id)
        except MoebiusError as error:
            logger.warning("%s could not be cancelled and goes on to its timeout: %s", job, error)
