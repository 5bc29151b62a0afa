"""`moebius serve` as a user runs it: a picture through everything, and every way to stop it."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.e2e.serving import PATIENCE, Serving, is_alive, serving, until
from tests.integration.edge.pictures import MASK, PHOTO, photo

FILES = {"image": ("photo.png", PHOTO, "image/png"), "mask": ("mask.png", MASK, "image/png")}


def inpaint(url: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/inpaint", files=FILES, data={"seed": "7"}, timeout=PATIENCE)


def terminate(service: Serving) -> None:
    service.process.send_signal(signal.SIGTERM)


def press_ctrl_c(service: Serving) -> None:
    """As a terminal does: to the whole foreground process group."""
    os.killpg(service.process.pid, signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "status"), [(terminate, 0), (press_ctrl_c, 130)])
def test_a_picture_is_filled_and_a_stop_leaves_nothing_behind(
    stop: Callable[[Serving], None], status: int
) -> None:
    with serving() as service:
        url = service.await_ready()
        answer = inpaint(url)
        assert answer.status_code == 200, answer.text
        filled = np.asarray(Image.open(io.BytesIO(answer.content)))
        assert filled.shape == np.asarray(photo()).shape
        assert answer.headers["x-seed"] == "7"
        assert len(service.children) == 2
        stop(service)
        assert service.end() == status, service.log.read_text()
        assert service.leftovers() == []


@pytest.mark.slow
def test_a_stop_during_the_start_leaves_nothing_behind() -> None:
    with serving() as service:
        until(lambda: (service.state / "lock").exists())
        terminate(service)
        assert service.end() == 0, service.log.read_text()
        assert service.leftovers() == []


@pytest.mark.slow
def test_one_metrics_page_shows_the_edge_and_the_worker() -> None:
    with serving() as service:
        url = service.await_ready()
        assert inpaint(url).status_code == 200
        page = httpx.get(f"{url}/metrics").text
        assert 'inpaint_stage_duration_seconds_count{stage="denoise"} 1' in page
        assert 'inpaint_jobs_total{outcome="succeeded"} 1' in page
        assert 'route="/v1/inpaint"' in page
        assert "inpaint_worker_ready 1" in page


@pytest.mark.slow
def test_a_dead_worker_is_replaced_and_its_job_is_done() -> None:
    with serving() as service:
        url = service.await_ready()
        first = service.worker()
        first.kill()
        until(lambda: not is_alive(first))
        assert inpaint(url).status_code == 200
        assert service.worker().pid != first.pid


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_killed_service_takes_its_children_and_their_files_along() -> None:
    with serving() as service:
        service.await_ready()
        service.process.kill()
        service.end()
        until(lambda: service.leftovers() == [])


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once_although_the_worker_does_not_drain() -> None:
    with serving("--drain-timeout", "100000") as service:
        url = service.await_ready()
        service.worker().suspend()  # it can't drain
        press_ctrl_c(service)
        until(lambda: refuses(url))
        press_ctrl_c(service)
        assert service.end() == 130
        assert service.leftovers() == []


def refuses(url: str) -> bool:
    """Whether nobody listens there any more."""
    try:
        httpx.get(f"{url}/livez")
    except httpx.TransportError:
        return True
    return False


@pytest.mark.slow
def test_a_model_that_is_not_there_ends_the_service_with_a_reason() -> None:
    with serving("--backend", "auto", "--model", "no-such-model") as service:
        assert service.end() == 1
        assert "no-such-model" in service.log.read_text()
        assert service.leftovers() == []


@pytest.mark.slow
def test_a_taken_port_ends_the_service_with_a_reason() -> None:
    with serving() as service:
        port = service.await_ready().rsplit(":", 1)[1]
        with serving("--port", port) as second:
            assert second.end() == 1
            assert "in use" in second.log.read_text()
            assert second.leftovers() == []
