"""Complaint about other services: they need a network although everything is on the disk.

Every Python process of these tests reports each attempt to look up or reach another machine, and is refused it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.code_blocks import ROOT
from tests.e2e.serving import PATIENCE, serving

pytestmark = pytest.mark.slow

MODEL = "moebius-nano-4step"
GUARD = """
import os
import sys


def refuse(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "localhost"  # else a path
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    if name != "localhost" and not name.startswith(("127.", "::1", "0.0.0.0")):
        with open(os.environ["ASKED"], "a") as asked:
            asked.write(f"{event} {name}\\n")
        raise OSError("this test has no network")


sys.addaudithook(refuse)
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each attempt; there is none while nothing was tried."""
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(guard), str(ROOT)]))
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return tmp_path / "asked"


def test_an_attempt_is_seen(asked: Path) -> None:
    """Else the others would prove nothing."""
    attempt = "import socket; socket.create_connection(('192.0.2.1', 9), 1)"
    assert subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False).returncode == 1
    assert "192.0.2.1" in asked.read_text()


def test_the_service_starts_and_fills_a_photo_without_a_network(asked: Path) -> None:
    with serving("--backend", "onnxruntime", "--models", MODEL) as service:
        files = {
            "image": (ROOT / "examples" / "seabed.jpg").read_bytes(),
            "mask": (ROOT / "examples" / "seabed-mask.png").read_bytes(),
        }
        answer = httpx.post(f"{service.await_ready()}/v1/inpaint", files=files, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        guarded = [process.environ().get("ASKED") for process in service.children]
        assert guarded
        assert set(guarded[1:] or guarded) >= {str(asked)}
    assert not asked.exists(), asked.read_text()


def test_the_command_fills_a_photo_without_a_network(asked: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "service.cli",
        "inpaint",
        "--model",
        MODEL,
        "-o",
        str(tmp_path / "filled.jpg"),
    ]
    pictures = [str(ROOT / "examples" / "seabed.jpg"), str(ROOT / "examples" / "seabed-mask.png")]
    done = subprocess.run([*command, *pictures], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not asked.exists(), asked.read_text()
