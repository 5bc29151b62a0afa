"""The demo's patience, with small programs in the service's place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.demo import await_ready, stop

SLEEPS = "import threading; threading.Event().wait()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEPS}"


@contextmanager
def running(program: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("w") as output, subprocess.Popen([sys.executable, "-c", program], stdout=output) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_url_is_read_from_the_log(tmp_path: Path) -> None:
    program = f"print('Moebius is ready at http://127.0.0.1:1 (gRPC at 127.0.0.1:2)', flush=True); {SLEEPS}"
    with running(program, tmp_path / "log") as process:
        assert await_ready(process, tmp_path / "log") == "http://127.0.0.1:1"


def test_a_service_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    with running("print('no model')", tmp_path / "log") as process, pytest.raises(SystemExit) as caught:
        await_ready(process, tmp_path / "log")
    assert "did not start" in str(caught.value)
    assert "no model" in str(caught.value)


def test_a_service_that_is_never_ready_is_waited_for_no_longer_than_allowed(tmp_path: Path) -> None:
    with running(SLEEPS, tmp_path / "log") as process, pytest.raises(SystemExit) as caught:
        await_ready(process, tmp_path / "log", patience=0)
    assert "not ready in time" in str(caught.value)


def test_a_service_deaf_to_signals_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(DEAF, log) as process:
        while not log.read_text() and process.poll() is None:
            pass
        stop(process, patience=0)
        assert process.wait(60) == -9
