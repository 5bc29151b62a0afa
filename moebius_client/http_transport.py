"""HTTP, for code without asyncio."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import httpx
from httpx_sse import EventSource

from moebius_client import http_messages as messages
from moebius_client.address import Address
from moebius_client.job_event import JobEvent
from moebius_client.job_status import JobStatus
from moebius_client.result import Result
from moebius_client.served_model import ServedModel
from moebius_client.upload import Upload


class HttpTransport:
    """Calls the REST interface. `client` is one of your own, for a proxy or certificates; it stays open then."""

    def __init__(self, address: Address, client: httpx.Client | None = None) -> None:
        self._owned = client is None
        self._client = client or httpx.Client(**messages.connection_options(address))

    def submit(self, upload: Upload) -> JobStatus:
        """POST /v1/jobs."""
        return messages.job_status(self._ask("POST", messages.JOBS, **messages.upload_arguments(upload)))

    def status(self, job_id: str) -> JobStatus:
        """GET /v1/jobs/{id}."""
        return messages.job_status(self._ask("GET", job_path(job_id)))

    def events(self, job_id: str, after: str = "") -> Generator[JobEvent]:
        """GET /v1/jobs/{id}/events."""
        headers = messages.watch_headers(after)
        with (
            messages.connection_errors(),
            self._client.stream("GET", f"{job_path(job_id)}/events", headers=headers) as response,
        ):
            if response.status_code == httpx.codes.NO_CONTENT:
                return
            if not response.is_success:
                response.read()
                messages.checked(response)
            for event in EventSource(response).iter_sse():
                yield messages.job_event(event)

    def result(self, job_id: str) -> Result:
        """GET /v1/jobs/{id}/result."""
        return messages.result(self._ask("GET", f"{job_path(job_id)}/result", headers=messages.AS_JSON))

    def cancel(self, job_id: str) -> JobStatus:
        """DELETE /v1/jobs/{id}."""
        return messages.job_status(self._ask("DELETE", job_path(job_id)))

    def models(self) -> list[ServedModel]:
        """GET /v1/models."""
        return messages.served_models(self._ask("GET", messages.MODELS))

    def close(self) -> None:
        """Close the connections, if they are ours."""
        if self._owned:
            self._client.close()

    def _ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        with messages.connection_errors():
            response = self._client.request(method, path, **arguments)
        return messages.document(response)


def job_path(job_id: str) -> str:
    """Where a job is, relative to the service's address."""
    return f"{messages.JOBS}/{quote(job_id, safe='')}"
