"""An edge without its queue, without a worker, and at its end."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import pytest

from service.queue.embedded import EmbeddedServer
from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker, running_edge, until
from tests.integration.edge.pictures import MASK, PHOTO

ROUTE = "/v1/inpaint"
FILES = {"image": ("photo.png", PHOTO), "mask": ("mask.png", MASK)}
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
        assert 'inpaint_redis_errors_total{op="ping"}' in httpx.get(f"{url}/metrics").text


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
