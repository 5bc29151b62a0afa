"""HTTP, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
from httpx_sse import EventSource

from moebius_client import http_messages as messages
from moebius_client.address import Address
from moebius_client.http_transport import job_path
from moebius_client.job_event import JobEvent
from moebius_client.job_status import JobStatus
from moebius_client.result import Result
from moebius_client.served_model import ServedModel
from moebius_client.upload import Upload


class AsyncHttpTransport:
    """Calls the REST interface. `client` is one of your own, for a proxy or certificates; it stays open then."""

    def __init__(self, address: Address, client: httpx.AsyncClient | None = None) -> None:
        self._owned = client is None
        self._client = client or httpx.AsyncClient(**messages.connection_options(address))

    async def submit(self, upload: Upload) -> JobStatus:
        """POST /v1/jobs."""
        arguments = messages.upload_arguments(upload)
        return messages.job_status(await self._ask("POST", messages.JOBS, **arguments))

    async def status(self, job_id: str) -> JobStatus:
        """GET /v1/jobs/{id}."""
        return messages.job_status(await self._ask("GET", job_path(job_id)))

    async def events(self, job_id: str, after: str = "") -> AsyncGenerator[JobEvent]:
        """GET /v1/jobs/{id}/events."""
        headers = messages.watch_headers(after)
        with messages.connection_errors():
            async with self._client.stream("GET", f"{job_path(job_id)}/events", headers=headers) as response:
                if response.status_code == httpx.codes.NO_CONTENT:
                    return
                if not response.is_success:
                    await response.aread()
                    messages.checked(response)
                async for event in EventSource(response).aiter_sse():
                    yield messages.job_event(event)

    async def result(self, job_id: str) -> Result:
        """GET /v1/jobs/{id}/result."""
        path = f"{job_path(job_id)}/result"
        return messages.result(await self._ask("GET", path, headers=messages.AS_JSON))

    async def cancel(self, job_id: str) -> JobStatus:
        """DELETE /v1/jobs/{id}."""
        return messages.job_status(await self._ask("DELETE", job_path(job_id)))

    async def models(self) -> list[ServedModel]:
        """GET /v1/models."""
        return messages.served_models(await self._ask("GET", messages.MODELS))

    async def aclose(self) -> None:
        """Close the connections, if they are ours."""
        if self._owned:
            await self._client.aclose()

    async def _ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        with messages.connection_errors():
            response = await self._client.request(method, path, **arguments)
        return messages.document(response)
