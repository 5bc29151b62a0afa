"""/v1/jobs/{id}/events: a job watched to its end, also in parts."""

from __future__ import annotations

import base64

import httpx
import pytest

from service.contracts import Preview, Progress
from tests.integration.edge.live_edge import FlatWorker, until
from tests.integration.edge.pictures import JPEG
from tests.integration.edge.requests import next_of, status_of, submitted, watching


def test_a_watcher_sees_the_position_the_steps_and_the_end(client: httpx.Client, worker: FlatWorker) -> None:
    with worker.held():
        first, second = submitted(client), submitted(client)
        until(lambda: status_of(client, first["id"]) == "running")
        with watching(client, second["id"]) as events:
            queued = next(events)
            assert (queued.kind, queued.data["position"]) == ("queued", 0)
            client.delete(first["links"]["self"])
            assert next_of(events, "running").data["attempt"] == 1
            worker.progress = Progress(step=5, steps=20)
            step = next_of(events, "progress")
            assert (step.data["step"], step.data["steps"]) == (5, 20)
            worker.hold.clear()
            *_, last = events
    assert last.kind == last.data["kind"] == "succeeded"
    assert last.data["failure"] is None


def test_a_stream_is_resumed_after_the_last_event_that_was_seen(
    client: httpx.Client, worker: FlatWorker
) -> None:
    with worker.held():
        job = submitted(client)
        with watching(client, job["id"]) as events:
            seen = [next(events)]
            while seen[-1].kind != "running":
                seen.append(next(events))
        worker.progress = Progress(step=1, steps=4)
        until(lambda: client.get(job["links"]["self"]).json()["step"] == 1)
    until(lambda: status_of(client, job["id"]) == "succeeded")
    with watching(client, job["id"], after=seen[-1].id) as events:
        rest = list(events)
    assert [event.kind for event in rest] == ["progress", "succeeded"]
    with watching(client, job["id"]) as events:
        whole = [event for event in events if event.id is not None]
    assert [event.id for event in whole] == [event.id for event in (*seen, *rest) if event.id is not None]


def test_a_job_that_has_ended_is_told_from_the_start(client: httpx.Client, worker: FlatWorker) -> None:
    with worker.held():
        job = submitted(client)
        client.delete(job["links"]["self"])
    with watching(client, job["id"]) as events:
        kinds = [(event.kind, event.data["failure"] and event.data["failure"]["code"]) for event in events]
    assert kinds[0][0] == "queued"
    assert kinds[-1] == ("cancelled", "job_cancelled")


def test_who_has_seen_the_end_is_told_not_to_come_back(client: httpx.Client) -> None:
    """A browser's EventSource opens every stream again that ends, until it gets 204."""
    job = submitted(client)
    with watching(client, job["id"]) as events:
        *_, last = events
    answer = client.get(job["links"]["events"], headers={"Last-Event-ID": last.id or ""})
    assert answer.status_code == 204
    assert answer.content == b""


@pytest.mark.parametrize("after", ["nonsense", "-1", "0", "9" * 5000], ids=lambda after: after[:8])
def test_an_id_that_was_never_given_does_no_harm(client: httpx.Client, after: str) -> None:
    job = submitted(client)
    until(lambda: status_of(client, job["id"]) == "succeeded")
    with watching(client, job["id"], after=after) as events:
        assert [event.kind for event in events][-1] == "succeeded"


def test_a_watcher_that_leaves_does_not_touch_the_job(client: httpx.Client, worker: FlatWorker) -> None:
    gone = 'inpaint_http_requests_total{code="499",method="GET",route="/v1/jobs/{job_id}/events"}'
    known = metric(client, gone)
    with worker.held():
        job = submitted(client)
        with watching(client, job["id"]) as events:
            next_of(events, "running")
        until(lambda: metric(client, gone) == known + 1)
        assert status_of(client, job["id"]) == "running"
    until(lambda: status_of(client, job["id"]) == "succeeded")


def metric(client: httpx.Client, name: str) -> float:
    """A sample's value; 0 if there is none yet."""
    lines = client.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


def test_many_watch_one_job(client: httpx.Client, worker: FlatWorker) -> None:
    with worker.held():
        job = submitted(client)
        with watching(client, job["id"]) as one, watching(client, job["id"]) as other:
            next_of(one, "running")
            next_of(other, "running")
            worker.hold.clear()
            assert [*one][-1].kind == [*other][-1].kind == "succeeded"


def test_a_preview_comes_with_the_progress_as_base64(client: httpx.Client, worker: FlatWorker) -> None:
    with worker.held():
        job = submitted(client, preview=5)
        with watching(client, job["id"]) as events:
            next_of(events, "running")
            worker.progress = Progress(5, 20, Preview(JPEG))
            step = next_of(events, "progress")
            worker.progress = Progress(6, 20)
            after = next_of(events, "progress")
    preview = step.data["preview"]
    assert base64.b64decode(preview.pop("data")) == JPEG
    assert preview == {"candidate": 0, "content_type": "image/jpeg"}
    assert after.data["preview"] is None
    assert worker.claims[-1].job.params.preview == 5
