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

REAL_MODEL = ("--backend", "onnxruntime", "--model", "moebius-nano-4step")


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


def metric(url: str, name: str) -> float:
    """A metric without labels; 0 where the page does not have it."""
    lines = httpx.get(f"{url}/metrics", timeout=PATIENCE).text.splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0.0)


@pytest.mark.slow
def test_several_models_are_served_each_by_a_worker_of_its_own() -> None:
    with serving("--models", "photos,faces") as service:
        url = service.await_ready()
        until(lambda: len(httpx.get(f"{url}/v1/models", timeout=PATIENCE).json()["models"]) == 2)
        told = httpx.get(f"{url}/v1/models", timeout=PATIENCE).json()["models"]
        assert [model["name"] for model in told] == ["photos", "faces"]
        assert len(service.workers()) == 2
        assert inpaint(url).headers["x-model"] == "photos"
        terminate(service)
        assert service.end() == 0, service.log.read_text()


@pytest.mark.slow
def test_two_workers_serve_and_each_does_so_alone() -> None:
    with serving("--workers", "2") as service:
        url = service.await_ready()
        until(lambda: metric(url, "inpaint_worker_ready") == 2)
        for worker in service.workers():
            worker.suspend()
            assert inpaint(url).status_code == 200
            worker.resume()
        terminate(service)
        assert service.end() == 0, service.log.read_text()
        assert service.leftovers() == []


@pytest.mark.slow
def test_a_dead_worker_of_two_is_replaced_while_the_other_goes_on() -> None:
    with serving("--workers", "2") as service:
        url = service.await_ready()
        until(lambda: metric(url, "inpaint_worker_ready") == 2)
        assert metric(url, "inpaint_worker_restarts_total") == 0
        before = service.workers()
        before[0].kill()
        assert inpaint(url).status_code == 200
        until(lambda: metric(url, "inpaint_worker_ready") == 2 and len(service.workers()) == 2)
        assert metric(url, "inpaint_worker_restarts_total") == 1
        assert before[1] in service.workers()


@pytest.mark.slow
def test_a_device_that_is_not_there_is_said_and_the_others_serve() -> None:
    with serving(*REAL_MODEL, "--devices", "cuda:999,cpu") as service:
        url = service.await_ready()
        until(lambda: "a worker is given up, the others go on" in service.log.read_text())
        assert "device cuda:999 can't run" in service.log.read_text()
        assert inpaint(url).status_code == 200
        assert len(service.workers()) == 1


@pytest.mark.slow
def test_the_service_ends_with_a_reason_where_no_device_is_there() -> None:
    with serving(*REAL_MODEL, "--devices", "cuda:998,cuda:999") as service:
        assert service.end() == 1
        last = service.log.read_text().splitlines()[-1]
        assert last.startswith("moebius: The service has ended")
        assert "cuda:998" in last
        assert "cuda:999" in last
        assert service.leftovers() == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_service_takes_its_children_and_their_files_along(workers: int) -> None:
    with serving("--workers", str(workers)) as service:
        service.await_ready()
        service.process.kill()
        service.end()
        until(lambda: service.leftovers() == [])


@pytest.mark.slow
def test_the_service_does_not_go_on_without_its_queue() -> None:
    with serving("--drain-timeout", "1") as service:
        service.await_ready()
        queue = next(child for child in service.children if "valkey-server" in child.name())
        queue.kill()
        assert service.end() == 1
        assert "its queue server did" in service.log.read_text()
        assert service.leftovers() == []


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
        for taken in (("--port", port), ("--grpc-port", service.grpc_port())):
            with serving(*taken) as second:
                assert second.end() == 1
                assert taken[1] in second.log.read_text()
                assert "in use" in second.log.read_text()
                assert second.leftovers() == []
