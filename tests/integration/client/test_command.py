"""`moebius inpaint --server`: photos filled by a service, several at a time."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from moebius_client import Retry
from service.cli import app
from service.contracts import Priority
from service.edge.server import Addresses
from tests.e2e.serving import until
from tests.foreground import hear_interrupts
from tests.integration.client.faulty_proxy import Exchange, answered_after, dropped, faulty_proxy
from tests.integration.edge.live_edge import FlatWorker
from tests.integration.edge.pictures import JPEG, MASK, PHOTO

ROOT = Path(__file__).resolve().parents[3]
RUNNER = CliRunner(env={"COLUMNS": "300", "TERM": "dumb"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six photos, and one mask for all."""
    (tmp_path / "photos").mkdir()
    for index in range(5):
        (tmp_path / "photos" / f"{index}.png").write_bytes(PHOTO)
    (tmp_path / "photos" / "5.jpg").write_bytes(JPEG)
    (tmp_path / "mask.png").write_bytes(MASK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inpaint(*arguments: str) -> Result:
    return RUNNER.invoke(app, ["inpaint", *arguments], catch_exceptions=False)


def test_a_folder_is_filled_and_lets_others_go_first(folder: Path, server: str, worker: FlatWorker) -> None:
    finished = inpaint("photos", "mask.png", "-o", "filled", "--server", server)
    assert finished.exit_code == 0, finished.stderr
    assert finished.stderr.splitlines() == ["6 done"]
    assert {claim.job.params.priority for claim in worker.claims[-6:]} == {Priority.BATCH}
    with Image.open(folder / "filled" / "5.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (96, 80))


def test_one_photo_is_filled_and_told_of_as_without_a_service(
    folder: Path, server: str, worker: FlatWorker
) -> None:
    finished = inpaint("photos/0.png", "mask.png", "-o", "out.webp", "--seed", "7", "--server", server)
    assert finished.exit_code == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert lines[0] == "wrote out.webp"
    assert "seed 7" in lines[1]
    assert "queue" in lines[2]
    assert worker.claims[-1].job.params.priority is Priority.INTERACTIVE
    with Image.open(folder / "out.webp") as image:
        assert image.format == "WEBP"


def test_the_mask_that_counted_comes_from_the_service(folder: Path, server: str) -> None:
    finished = inpaint(
        "photos", "mask.png", "-o", "filled", "--server", server, "--effective-mask", "counted"
    )
    assert finished.exit_code == 0, finished.stderr
    assert "wrote counted/5.png, the effective mask" in finished.stdout
    for index in range(6):
        with Image.open(folder / "counted" / f"{index}.png") as image:
            assert (image.mode, image.size, image.getextrema()) == ("L", (96, 80), (0, 255))


def test_what_the_service_refuses_is_told_and_the_rest_goes_on(folder: Path, server: str) -> None:
    (folder / "photos" / "2.png").write_text("no photo")
    (folder / "photos" / "3.png").unlink()
    (folder / "photos" / "3.png").symlink_to("/proc/self/mem")  # to be read by nobody from its beginning
    finished = inpaint("photos", "mask.png", "-o", "filled", "--server", server, "--json")
    assert finished.exit_code == 3
    documents = [json.loads(line) for line in finished.stdout.splitlines()]
    codes = {document["photo"]: document.get("error", {}).get("code") for document in documents}
    assert codes.pop("photos/2.png") == "not_an_image"
    assert codes.pop("photos/3.png") == "unreadable"
    assert len(codes) == 4
    assert set(codes.values()) == {None}


def test_a_service_that_is_not_there_is_told_at_once(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    finished = inpaint("photos", "mask.png", "-o", "filled", "--server", f"http://127.0.0.1:{port}")
    assert finished.exit_code == 1
    assert "0 done, 6 not tried" in finished.stderr
    assert "moebius: The service can't be reached" in finished.stderr


def test_a_service_that_goes_ends_all(
    folder: Path, addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.inpaint_cli.there.PATIENT", Retry(attempts=2, first_delay=0.01))
    with faulty_proxy(addresses.http) as proxy:
        proxy.plan("POST", "/jobs", Exchange.pass_on, *[dropped] * 20)
        finished = inpaint(
            "photos", "mask.png", "-o", "filled", "--server", proxy.url, "--parallel", "1", "--json"
        )
    assert finished.exit_code == 1
    assert "1 done, 5 not tried" in finished.stderr
    assert len(finished.stdout.splitlines()) == 1


def test_an_address_that_is_none_is_wrong_usage(folder: Path) -> None:
    finished = inpaint("photos", "mask.png", "-o", "filled", "--server", "localhost:1")
    assert finished.exit_code == 2
    assert "moebius: The server's address is 'localhost:1'. Give http://host:port" in finished.stderr
    assert not (folder / "filled").exists()


def test_as_many_are_under_way_as_were_allowed(
    folder: Path, addresses: Addresses, worker: FlatWorker
) -> None:
    with (
        faulty_proxy(addresses.http) as proxy,
        worker.held(),
        started(folder, "--server", proxy.url, "--parallel", "3") as process,
    ):
        until(lambda: len(proxy.came("GET", "/events")) == 3)
        assert len(proxy.came("POST", "/jobs")) == 3
        worker.hold.clear()
        _, said = process.communicate()
        assert process.returncode == 0, said
        assert len(proxy.came("POST", "/jobs")) == 6


def test_an_interrupted_folder_takes_its_work_back(
    folder: Path, addresses: Addresses, worker: FlatWorker
) -> None:
    dropped_before = len(worker.dropped)
    with (
        faulty_proxy(addresses.http) as proxy,
        worker.held(),
        started(folder, "--server", proxy.url, "--parallel", "2") as process,
    ):
        until(lambda: len(proxy.came("GET", "/events")) == 2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert process.returncode == 130, said
        assert len([seen for seen in proxy.seen if seen.method == "DELETE"]) == 2
        until(lambda: len(worker.dropped) > dropped_before)
    assert "interrupted: 0 done, 6 not tried" in said
    assert "Traceback" not in said


def test_what_was_sent_is_taken_back_though_its_answer_had_not_come(
    folder: Path, addresses: Addresses, worker: FlatWorker
) -> None:
    gate = threading.Event()
    claimed, dropped_before = len(worker.claims), len(worker.dropped)
    with (
        faulty_proxy(addresses.http) as proxy,
        worker.held(),
        started(folder, "--server", proxy.url, "--parallel", "1") as process,
    ):
        proxy.plan("POST", "/jobs", answered_after(gate))
        until(lambda: len(worker.claims) > claimed)
        process.send_signal(signal.SIGINT)
        gate.set()
        _, said = process.communicate()
        assert process.returncode == 130, said
        until(lambda: len(worker.dropped) > dropped_before)
    assert "interrupted: 0 done, 6 not tried" in said
    assert "Traceback" not in said


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a user starts it; it is gone at the end of the block."""
    command = [
        sys.executable,
        "-m",
        "service.cli",
        "inpaint",
        "photos",
        "mask.png",
        "-o",
        "filled",
        *arguments,
    ]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
