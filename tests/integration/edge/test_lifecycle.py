"""An edge without its queue, without a worker, and at its end."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service.queue.embedded import EmbeddedServer
from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker, running_edge, until
from tests.integration.edge.requests import FILES, next_of, submitted, watching

ROUTE = "/v1/inpaint"
NO_MODEL = "No worker serves a model"


def test_without_a_worker_the_edge_is_alive_but_not_ready(queue_url: str) -> None:
    with running_edge(queue_url, Settings()) as url:
        assert httpx.get(f"{url}/livez").status_code == 200
        for answer in (httpx.get(f"{url}/readyz"), httpx.post(f"{url}{ROUTE}", files=FILES)):
            assert answer.status_code == 503
            assert answer.json()["code"] == "not_ready"
            assert NO_MODEL in answer.json()["detail"]
            assert int(answer.headers["retry-after"]) > 0


def test_without_a_queue_the_edge_is_alive_but_not_ready(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, running_edge(server.url, Settings()) as url:
        server.stop()
        assert httpx.get(f"{url}/livez").status_code == 200
        for answer in (
            httpx.get(f"{url}/readyz", timeout=30),
            httpx.post(f"{url}{ROUTE}", files=FILES, timeout=30),
        ):
            assert answer.status_code == 503
            assert answer.json()["code"] == "queue_unavailable"
        page = httpx.get(f"{url}/metrics", timeout=30)
        assert page.status_code == 200
        assert 'inpaint_redis_errors_total{op="ping"}' in page.text


def test_an_edge_that_is_told_to_stop_finishes_what_it_has_begun(queue_url: str) -> None:
    settings = Settings(drain_timeout=20)
    answers: list[httpx.Response] = []
    with FlatWorker(queue_url, settings) as worker:
        worker.hold.set()
        with running_edge(queue_url, settings) as url:
            request = threading.Thread(
                target=lambda: answers.append(httpx.post(f"{url}{ROUTE}", files=FILES, timeout=30))
            )
            request.start()
            until(lambda: len(worker.claims) == 1)
            threading.Timer(0.3, worker.hold.clear).start()
        request.join()
    assert answers[0].status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/livez")


def test_what_an_edge_can_not_finish_in_time_is_cancelled_and_told_to_come_back(queue_url: str) -> None:
    settings = Settings(drain_timeout=1)
    answers: list[httpx.Response] = []
    with FlatWorker(queue_url, settings) as worker, worker.held():
        with running_edge(queue_url, settings) as url:
            request = threading.Thread(
                target=lambda: answers.append(httpx.post(f"{url}{ROUTE}", files=FILES, timeout=30))
            )
            request.start()
            until(lambda: len(worker.claims) == 1)
        request.join()
        assert answers[0].status_code == 503
        assert answers[0].json()["code"] == "not_ready"
        assert int(answers[0].headers["retry-after"]) >= 1
        until(lambda: worker.dropped == {worker.claims[0].job.id})


def test_a_server_that_stops_sends_its_watchers_away_and_another_one_goes_on(queue_url: str) -> None:
    settings = Settings(drain_timeout=60)
    with FlatWorker(queue_url, settings) as worker, worker.held():
        with ExitStack() as watch:
            with running_edge(queue_url, settings) as url:
                client = watch.enter_context(httpx.Client(base_url=url))
                job = submitted(client)
                events = watch.enter_context(watching(client, job["id"]))
                seen = next_of(events, "running")
            assert list(events) == []  # in good order: a connection that is cut raises
        with (
            running_edge(queue_url, settings) as url,
            httpx.Client(base_url=url) as client,
            watching(client, job["id"], after=seen.id) as events,
        ):
            worker.hold.clear()
            assert [event.kind for event in events] == ["succeeded"]
