"""Requests that the tests of several routes send, and how the events of a watched job are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.integration.edge.pictures import MASK, PHOTO

FILES = {"image": ("photo.png", PHOTO), "mask": ("mask.png", MASK)}
AS_JSON = {"Accept": "application/json"}


@dataclass(frozen=True)
class Event:
    """One Server-Sent Event."""

    kind: str
    id: str | None
    data: dict[str, Any]


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """The events of a stream (WHATWG HTML, section 9.2.6), as far as the service uses them."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line and "event" in fields:
            yield Event(fields["event"], fields.get("id"), json.loads(fields["data"]))
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def submitted(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """A job's document, just queued."""
    answer = client.post("/v1/jobs", files=FILES, data=fields)
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = answer.json()
    return document


def status_of(client: httpx.Client, job_id: str) -> str:
    """The status in the job's document."""
    status: str = client.get(f"/v1/jobs/{job_id}").raise_for_status().json()["status"]
    return status


@contextmanager
def watching(client: httpx.Client, job_id: str, after: str | None = None) -> Iterator[Iterator[Event]]:
    """A job's events, from the start or after the one with the id `after`."""
    headers = {} if after is None else {"Last-Event-ID": after}
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield read_events(answer.iter_lines())


def next_of(events: Iterator[Event], kind: str) -> Event:
    """The next event of that kind."""
    return next(event for event in events if event.kind == kind)
