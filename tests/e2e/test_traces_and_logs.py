"""`moebius serve` at its most talkative, after requests of every kind: what it logs, and what its two processes send to
a collector.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from PIL import Image

from service.pb.moebius.v1 import inpaint_pb2 as pb
from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceStub
from tests.e2e.serving import PATIENCE, Serving, serving
from tests.integration.edge.pictures import MASK, PHOTO, encode, photo
from tests.integration.grpc.calls import inpaint_request, submit_request, upload
from tests.otlp_receiver import Received, otlp_receiver

pytestmark = pytest.mark.slow

KEY = "a-key-that-nobody-may-read"
WRONG_KEY = "another-key-that-nobody-may-read"
QUERY = "a-query-that-nobody-may-read"
NOTE = "what-is-written-in-a-picture"
SECRETS = (KEY, WRONG_KEY, QUERY, NOTE)
AUTHORIZATION = {"Authorization": f"Bearer {KEY}"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
FILES = {"image": ("photo.png", PHOTO), "mask": ("mask.png", MASK)}
BASE64 = re.compile(r"[A-Za-z0-9+/]{100,}")
BYTES = re.compile(r"(\\x[0-9a-f]{2}.{0,2}){4,}|(\\u00[0-9a-f]{2}){4,}")
LEVELS = {"debug", "info", "warning", "error", "critical"}


@dataclass(frozen=True)
class Told:
    """All that the service said."""

    lines: list[str]
    spans: list[Received]
    job_id: str

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    settings = {
        "MOEBIUS_API_KEYS": json.dumps({"alice": hashlib.sha256(KEY.encode()).hexdigest()}),
        "MOEBIUS_LOG_LEVEL": "debug",
    }
    with otlp_receiver() as receiver, pytest.MonkeyPatch.context() as environment:
        for name, value in (settings | {"MOEBIUS_OTLP_ENDPOINT": receiver.url}).items():
            environment.setenv(name, value)
        with serving() as service:
            job_id = ask_for_everything(service)
            service.process.send_signal(signal.SIGTERM)
            assert service.end() == 0, service.log.read_text()
            yield Told(service.log.read_text().splitlines(), receiver.spans, job_id)


def ask_for_everything(service: Serving) -> str:
    """Requests that succeed and that fail, over HTTP and gRPC; the id of the job that has the caller's trace."""
    url = service.await_ready()
    with httpx.Client(base_url=url, headers=AUTHORIZATION, timeout=PATIENCE) as client:
        job_id = ask_over_http(client)
    send_what_is_no_http(url)
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port()}") as channel:
        ask_over_grpc(InpaintServiceStub(channel))
    return job_id


def ask_over_http(client: httpx.Client) -> str:
    answer = client.post("/v1/inpaint", files=FILES, headers=CALLER)
    assert answer.status_code == 200, answer.text
    assert TRACE in answer.headers["traceresponse"]
    document = {"image": base64.b64encode(PHOTO).decode(), "mask": base64.b64encode(MASK).decode()}
    assert client.post("/v1/inpaint", json=document).status_code == 200
    assert client.post("/v1/inpaint", json={**document, "steps": "many"}).status_code == 422
    exif = Image.Exif()
    exif[0x010E] = NOTE  # ImageDescription
    for kind in ("JPEG", "TIFF", "PNG"):
        described = {**FILES, "image": (f"photo.{kind}", encode(photo(), kind, exif=exif))}
        assert client.post("/v1/inpaint", files=described).status_code == 200
    truncated = {**FILES, "image": ("photo.png", PHOTO[: len(PHOTO) // 2])}
    assert client.post("/v1/inpaint", files=truncated).json()["code"] == "truncated_image"
    swapped = {"image": ("photo.png", b"no picture at all"), "mask": ("mask.png", MASK)}
    assert client.post("/v1/inpaint", files=swapped).status_code == 422
    wrong = {"Authorization": f"Bearer {WRONG_KEY}"}
    assert client.post("/v1/inpaint", files=FILES, headers=wrong).status_code == 401
    assert client.get(f"/v1/models?key={QUERY}").status_code == 200
    assert client.get(f"/nowhere?key={QUERY}").status_code == 404
    job: dict[str, Any] = client.post("/v1/jobs", files=FILES).json()
    assert client.get(job["links"]["events"]).status_code == 200
    assert client.get(job["links"]["result"]).status_code == 200
    assert client.delete(job["links"]["self"]).status_code == 200
    return answer.headers["x-job-id"]


def send_what_is_no_http(url: str) -> None:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or 0), PATIENCE) as connection:
        connection.sendall(b"NO HTTP\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n\r\n")
        assert b"400" in connection.recv(4096)


def ask_over_grpc(stub: Any) -> None:
    alice = (("authorization", f"Bearer {KEY}"),)
    stub.Inpaint(inpaint_request(), metadata=alice, timeout=PATIENCE)
    list(stub.InpaintStream(upload(), metadata=alice, timeout=PATIENCE))
    job = stub.SubmitJob(submit_request(), metadata=alice).job
    list(stub.WatchJob(pb.WatchJobRequest(job_id=job.id), metadata=alice, timeout=PATIENCE))
    for request, metadata in (
        (inpaint_request(image=b"no picture at all"), alice),
        (inpaint_request(image=PHOTO[: len(PHOTO) // 2]), alice),
        (inpaint_request(), (("authorization", f"Bearer {WRONG_KEY}"),)),
    ):
        with suppress(grpc.RpcError):
            stub.Inpaint(request, metadata=metadata, timeout=PATIENCE)
            raise AssertionError("it was not refused")


def test_every_line_is_a_json_object_with_time_level_and_message(told: Told) -> None:
    assert len(told.lines) > 50
    for entry in told.entries:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
        assert entry["level"] in LEVELS
        assert isinstance(entry["message"], str)


def test_no_line_and_no_span_holds_a_key_a_query_or_a_part_of_a_picture(told: Told) -> None:
    for text in (*told.lines, *(str(received.span) for received in told.spans)):
        assert [secret for secret in SECRETS if secret in text] == []
        assert BASE64.search(text) is None, text
        assert BYTES.search(text.replace("\\\\", "\\")) is None, text


def test_every_request_has_a_line_with_its_client_its_trace_and_its_job(told: Told) -> None:
    requests = [entry for entry in told.entries if entry["message"] in ("request", "call")]
    quiet = {"/livez", "/readyz", "/metrics"}
    for entry in requests:
        assert entry["peer"] == "127.0.0.1"
        assert ("trace_id" in entry) == ("span_id" in entry) == (entry.get("route") not in quiet)
    (first,) = [entry for entry in requests if entry.get("trace_id") == TRACE]
    assert first["route"] == "/v1/inpaint"
    assert (first["status"], first["client"], first["job"]) == (200, "key:alice", told.job_id)
    (refused,) = [entry for entry in requests if entry.get("status") == 401]
    assert "client" not in refused
    assert {entry["code"] for entry in requests if "code" in entry} == {
        "OK",
        "INVALID_ARGUMENT",
        "UNAUTHENTICATED",
    }


def test_every_line_about_a_job_names_its_trace(told: Told) -> None:
    about_jobs = [entry for entry in told.entries if "job" in entry]
    assert {entry["logger"].split(".")[1] for entry in about_jobs} == {"edge", "worker"}
    for entry in about_jobs:
        assert re.fullmatch(r"[0-9a-f]{32}", entry["trace_id"])
        assert re.fullmatch(r"[0-9a-f]{16}", entry["span_id"])
    started = [entry for entry in about_jobs if entry["message"] == "job started"]
    assert [entry["trace_id"] for entry in started if entry["job"] == told.job_id] == [TRACE]
    ended = [entry for entry in about_jobs if entry["message"] in ("job finished", "job failed")]
    assert {entry["job"] for entry in ended} == {entry["job"] for entry in started}
    assert {entry["trace_id"] for entry in about_jobs if entry["message"] == "job failed"} <= {
        entry["trace_id"] for entry in about_jobs if entry["message"] in ("request", "call")
    }


def test_the_collector_gets_one_trace_from_both_processes(told: Told) -> None:
    ours = [received for received in told.spans if received.trace_id == TRACE]
    names = {service: set[str]() for service in ("moebius-edge", "moebius-worker")}
    for received in ours:
        names[received.service].add(received.span.name)
    assert names == {
        "moebius-edge": {"POST /v1/inpaint", "admit", "enqueue"},
        "moebius-worker": {
            *(
                "queue wait",
                "attempt",
                "decode",
                "vae encode",
                "batch join",
                "denoise",
                "vae decode",
                "compose",
            ),
        },
    }
    assert len({received.instance for received in ours}) == 2
    by_id = {received.span.span_id: received.span for received in ours}
    (attempt,) = [received.span for received in ours if received.span.name == "attempt"]
    assert by_id[attempt.parent_span_id].name == "enqueue"
