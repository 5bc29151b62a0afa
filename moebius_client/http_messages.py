"""Between this package's objects and HTTP: form fields, documents, problem details. Knows no connection."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, SSEError

from moebius_client.address import Address
from moebius_client.errors import ConnectionFailed, ConnectionTimedOut, Problem, ServiceError, error_of
from moebius_client.job_event import JobEvent, Preview
from moebius_client.job_status import JobStatus
from moebius_client.result import Box, Candidate, Result
from moebius_client.served_model import ServedModel
from moebius_client.upload import Upload

JOBS = "/v1/jobs"
MODELS = "/v1/models"
CONNECT_TIMEOUT = 10.0  # seconds
AS_JSON = {"Accept": "application/json"}


def connection_options(address: Address) -> dict[str, Any]:
    """The arguments of an httpx client of either kind."""
    headers = {"User-Agent": "moebius-client"}
    if address.authorization is not None:
        headers["Authorization"] = address.authorization
    timeout = httpx.Timeout(address.network_timeout, connect=min(CONNECT_TIMEOUT, address.network_timeout))
    return {"base_url": address.url, "headers": headers, "timeout": timeout}


def upload_arguments(upload: Upload) -> dict[str, Any]:
    """The arguments of a request that sends it as multipart/form-data."""
    return {
        "files": {"image": ("image", upload.image), "mask": ("mask", upload.mask)},
        "data": {name: _field(value) for name, value in upload.parameters.items()},
        "headers": {"Idempotency-Key": upload.idempotency_key},
    }


def _field(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def watch_headers(after: str) -> dict[str, str]:
    """The headers of a watch that goes on after an event."""
    return {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})


@contextmanager
def connection_errors() -> Iterator[None]:
    """Turn httpx's errors into ours."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise ConnectionTimedOut(f"The service did not answer in time: {_said(error)}") from error
    except (httpx.TransportError, SSEError) as error:
        raise ConnectionFailed(f"The service can't be reached: {_said(error)}") from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def checked(response: httpx.Response) -> httpx.Response:
    """An answer that was read, if it is no refusal. Raises `ServiceError`."""
    if response.is_success:
        return response
    raise error_of(_problem_of_answer(response), _retry_after(response))


def document(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer. Raises `ServiceError`, also for an answer that no such service gives."""
    try:
        found = checked(response).json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        kind = response.headers.get("content-type", "nothing")
        raise ServiceError(
            Problem(
                "not_understood",
                f"{response.url} answered {kind} where JSON was expected. Is it the address of a Moebius service?",
                status=response.status_code,
            )
        )
    return found


def _problem_of_answer(response: httpx.Response) -> Problem:
    """The problem details, or what can be said of an answer without them, as proxies give."""
    try:
        found = response.json()
    except ValueError:
        found = None
    if isinstance(found, dict) and "code" in found:
        return problem_of(found)
    said = " ".join(response.text.split())[:200] or response.reason_phrase
    return Problem(
        f"http_{response.status_code}", f"HTTP {response.status_code}: {said}", status=response.status_code
    )


def problem_of(fields: Mapping[str, Any]) -> Problem:
    """Problem details (RFC 9457)."""
    return Problem(
        code=str(fields["code"]),
        detail=str(fields.get("detail", "")),
        title=str(fields.get("title", "")),
        status=fields.get("status"),
        retryable=bool(fields.get("retryable", False)),
    )


def _failure(fields: Mapping[str, Any]) -> Problem | None:
    found = fields.get("failure")
    return None if found is None else problem_of(found)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds; the field holds a number of them or a date (RFC 9110, section 10.2.3)."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # TypeError: a date without a zone can't be compared
        return None


def job_status(fields: Mapping[str, Any]) -> JobStatus:
    """The document of a job."""
    return JobStatus(
        id=fields["id"],
        status=fields["status"],
        model=fields["model"],
        attempt=fields["attempt"],
        position=fields["position"],
        step=fields["step"],
        steps=fields["steps"],
        created=datetime.fromisoformat(fields["created"]),
        deadline=datetime.fromisoformat(fields["deadline"]),
        failure=_failure(fields),
    )


def job_event(event: ServerSentEvent) -> JobEvent:
    """One event of a watched job. Raises `ServiceError` for one that tells why the stream ends before the job."""
    fields = json.loads(event.data)
    if event.event == "problem":
        raise error_of(problem_of(fields))
    preview = fields.get("preview")
    return JobEvent(
        id=event.id,
        kind=event.event,
        attempt=fields["attempt"],
        position=fields["position"],
        step=fields["step"],
        steps=fields["steps"],
        failure=_failure(fields),
        preview=preview and _preview(preview),
    )


def _preview(fields: Mapping[str, Any]) -> Preview:
    return Preview(fields["candidate"], fields["content_type"], base64.b64decode(fields["data"]))


def result(fields: Mapping[str, Any]) -> Result:
    """The document of a finished job."""
    return Result(
        job_id=fields["job_id"],
        model=fields["model"],
        candidates=tuple(
            Candidate(base64.b64decode(picture["data"]), picture["content_type"], picture["seed"])
            for picture in fields["pictures"]
        ),
        boxes=tuple(Box(box["left"], box["top"], box["right"], box["bottom"]) for box in fields["boxes"]),
        stages=dict(fields["stages"]),
        notes=tuple(fields["notes"]),
        effective_mask=base64.b64decode(mask) if (mask := fields.get("effective_mask")) else None,
    )


def served_models(fields: Mapping[str, Any]) -> list[ServedModel]:
    """The document of /v1/models; what a newer service tells besides is left out."""
    return [_served_model(entry) for entry in fields["models"]]


def _served_model(entry: Mapping[str, Any]) -> ServedModel:
    allowed = entry["allowed_steps"]
    return ServedModel(
        name=entry["name"],
        image_size=entry["image_size"],
        backend=entry["backend"],
        device=entry["device"],
        precision=entry["precision"],
        sha256=entry["sha256"],
        default_steps=entry["default_steps"],
        allowed_steps=None if allowed is None else tuple(allowed),
        guidance_scale=entry["guidance_scale"],
    )
