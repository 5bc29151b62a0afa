"""One request over HTTP with the client's own clock: what it sent, for how long, and when the answer came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import httpx

from benchmarks.server_timing import stages_of

SENT = "http11.send_request_body.complete"
BEGUN = "http11.send_request_headers.started"
ANSWERED = "http11.receive_response_headers.complete"
RECEIVED = "http11.receive_response_body.complete"


@dataclass(frozen=True, slots=True)
class TimedRequest:
    """Milliseconds: from the call to the answer's last byte, of sending, of receiving after the headers had come, and
    of each stage that the server told; bytes of the answer.
    """

    total: float
    upload: float
    download: float
    stages: dict[str, float]
    answer_bytes: int

    @property
    def other(self) -> float:
        """What is left: the edge's checks, storing and fetching, and whatever waits between the stages."""
        return self.total - self.upload - self.download - sum(self.stages.values())


def timed_request(client: httpx.Client, image: bytes, mask: bytes, form: Mapping[str, str]) -> TimedRequest:
    """Fill a picture by /v1/inpaint. `RuntimeError` with what the server said if it refused."""
    moments: dict[str, float] = {}

    def note(event: str, _: Mapping[str, Any]) -> None:
        moments[event] = perf_counter()

    started = perf_counter()
    response = client.post(
        "/v1/inpaint",
        files={"image": ("image", image), "mask": ("mask.png", mask)},
        data=dict(form),
        extensions={"trace": note},
    )
    ended = perf_counter()
    if not response.is_success:
        raise RuntimeError(f"the service answered {response.status_code}: {response.text}")
    return TimedRequest(
        total=(ended - started) * 1e3,
        upload=(moments[SENT] - moments[BEGUN]) * 1e3,
        download=(moments[RECEIVED] - moments[ANSWERED]) * 1e3,
        stages=stages_of(response.headers["Server-Timing"]),
        answer_bytes=len(response.content),
    )
