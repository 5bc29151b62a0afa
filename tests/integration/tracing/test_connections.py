"""Requests on one connection, as a proxy sends those of many clients: none is told under another one's names."""

from __future__ import annotations

import json
import logging
import socket
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest

from service.json_logs import JsonFormatter
from service.settings import Settings
from tests.integration.edge.live_edge import running_edge
from tests.integration.edge.pictures import encode, mask, photo
from tests.integration.tracing.kept_spans import CALLER, KeptSpans, told
from tests.integration.worker.running_worker import RunningWorker

SIZE = (400, 300)  # more bytes than the server takes at once: it goes on with reading from within the request
LARGE = {"image": ("photo.png", encode(photo(size=SIZE))), "mask": ("mask.png", encode(mask(SIZE)))}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The lines that the service would write."""
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(JsonFormatter())
    return caplog


@pytest.fixture
def client(
    queue_url: str, settings: Settings, start_worker: Callable[..., RunningWorker]
) -> Iterator[httpx.Client]:
    """A client of an edge with a worker, on asyncio's own loop, as where nothing else is installed."""
    start_worker()
    with pytest.MonkeyPatch.context() as modules:
        modules.setitem(sys.modules, "uvloop", None)
        with running_edge(queue_url, settings) as url, httpx.Client(base_url=url, timeout=60) as connected:
            yield connected


def request_line(log: pytest.LogCaptureFixture, route: str) -> dict[str, object]:
    """What the access log says of the only request of a route."""
    entries = map(json.loads, log.text.splitlines())
    (line,) = [entry for entry in entries if entry["message"] == "request" and entry["route"] == route]
    return {name: line[name] for name in line if name in ("peer", "client", "job", "trace_id", "span_id")}


def test_a_request_after_a_large_upload_has_no_name_of_that_one(
    client: httpx.Client, spans: KeptSpans, log: pytest.LogCaptureFixture
) -> None:
    assert client.post("/v1/jobs", files=LARGE, headers=CALLER).status_code == 202
    assert client.get("/nowhere").status_code == 404
    assert "moebius.job.id" not in told(spans.one("GET unmatched"))
    assert request_line(log, "unmatched").keys() == {"peer", "trace_id", "span_id"}


def test_a_request_that_is_sent_before_an_answer_has_no_name_of_that_one(
    client: httpx.Client, spans: KeptSpans, log: pytest.LogCaptureFixture
) -> None:
    first = client.build_request("POST", "/v1/jobs", files=LARGE, headers=CALLER)
    fields = "".join(f"{name}: {value}\r\n" for name, value in first.headers.items())
    upload = f"POST /v1/jobs HTTP/1.1\r\n{fields}\r\n".encode() + first.read()
    with socket.create_connection((first.url.host, first.url.port or 0), timeout=60) as connection:
        connection.sendall(upload + b"GET /nowhere HTTP/1.1\r\nHost: edge\r\n\r\n")
        spans.one("GET unmatched")
    assert "moebius.job.id" not in told(spans.one("GET unmatched"))
    assert request_line(log, "unmatched").keys() == {"peer", "trace_id", "span_id"}
