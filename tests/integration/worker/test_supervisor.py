"""The supervisor, with small programs in the worker's place."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EAGAIN, ENOMEM
from pathlib import Path
from time import monotonic

import pytest

from service.settings import Settings
from service.supervisor import (
    MOST_EARLY_DEATHS,
    WORKER,
    WorkerSupervisor,
    code_environment,
    settings_environment,
)

PATIENCE = 60.0

SLEEPS = "import threading; threading.Event().wait()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); {SLEEPS}"
NOTES_ITS_LIFE = "import os; open(os.environ['MOEBIUS_STATE_DIR'] + '/lives', 'a').write('x')"


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.supervisor.FIRST_BACKOFF", 0.01)
    monkeypatch.setattr("service.supervisor.LONGEST_BACKOFF", 0.01)


def until(condition: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, "the condition never held"
        threading.Event().wait(0.01)


@contextmanager
def supervising(
    folder: Path, program: str, on_given_up: Callable[[str], None] = lambda _: None
) -> Iterator[WorkerSupervisor]:
    settings = Settings(state_dir=folder, drain_timeout=PATIENCE)
    supervisor = WorkerSupervisor(settings, on_given_up, command=(sys.executable, "-c", program))
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop(lambda: True)


def test_a_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    with supervising(tmp_path, f"{NOTES_ITS_LIFE}; raise SystemExit(3)"):
        until(lambda: lives.exists() and len(lives.read_text()) >= 2)


def test_a_worker_that_can_never_run_is_given_up(tmp_path: Path) -> None:
    reasons: list[str] = []
    with supervising(tmp_path, f"{NOTES_ITS_LIFE}; raise SystemExit(78)", reasons.append) as supervisor:
        until(lambda: bool(reasons))
        assert supervisor.worker_pid is None
    assert (tmp_path / "lives").read_text() == "x"


def test_a_worker_that_dies_again_and_again_before_it_was_ready_is_given_up(
    tmp_path: Path, no_backoff: None
) -> None:
    reasons: list[str] = []
    with supervising(tmp_path, f"{NOTES_ITS_LIFE}; raise SystemExit(3)", reasons.append):
        until(lambda: bool(reasons))
    assert (tmp_path / "lives").read_text() == "x" * MOST_EARLY_DEATHS
    assert "status 3" in reasons[0]


def test_a_worker_that_was_ready_is_never_given_up(tmp_path: Path, no_backoff: None) -> None:
    reasons: list[str] = []
    lives = tmp_path / "lives"
    with supervising(tmp_path, f"{NOTES_ITS_LIFE}; raise SystemExit(3)", reasons.append) as supervisor:
        supervisor.note_ready()
        until(lambda: lives.exists() and len(lives.read_text()) > MOST_EARLY_DEATHS)
    assert not reasons


def test_a_system_without_room_for_a_process_is_asked_again(
    tmp_path: Path, no_backoff: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn = WorkerSupervisor._spawn
    refusals = iter([BlockingIOError(EAGAIN, "no process"), OSError(ENOMEM, "no memory")])

    def short_of_room(supervisor: WorkerSupervisor) -> subprocess.Popen[bytes]:
        for refusal in refusals:
            raise refusal
        return spawn(supervisor)

    monkeypatch.setattr(WorkerSupervisor, "_spawn", short_of_room)
    with supervising(tmp_path, SLEEPS) as supervisor:
        until(lambda: supervisor.worker_pid is not None)


def test_code_in_the_current_folder_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "here" / "service"
    hostile.mkdir(parents=True)
    (hostile / "__init__.py").write_text("raise SystemExit(99)")
    (hostile / "cli.py").write_text("")
    monkeypatch.chdir(hostile.parent)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    help_text = subprocess.run(
        [*WORKER, "--help"], env=os.environ | code_environment(), capture_output=True, text=True, check=False
    )
    assert help_text.returncode == 0, help_text.stderr
    assert "Start a worker" in help_text.stdout


def test_a_worker_is_no_member_of_our_session(tmp_path: Path) -> None:
    with supervising(tmp_path, SLEEPS) as supervisor:
        until(lambda: supervisor.worker_pid is not None)
        assert supervisor.worker_pid is not None
        assert os.getsid(supervisor.worker_pid) != os.getsid(0)


def test_a_stop_waits_for_the_worker_to_end(tmp_path: Path) -> None:
    with supervising(tmp_path, SLEEPS) as supervisor:
        until(lambda: supervisor.worker_pid is not None)
        supervisor.stop(lambda: False)
        assert supervisor.worker_pid is None


def test_a_worker_deaf_to_signals_is_killed_when_there_is_a_hurry(tmp_path: Path) -> None:
    with supervising(tmp_path, DEAF) as supervisor:
        until(lambda: supervisor.worker_pid is not None)
        supervisor.stop(lambda: True)
        assert supervisor.worker_pid is None


def test_the_settings_reach_the_child_as_they_are(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, backend="dummy", drain_timeout=2.5, redis_url="redis://:x@h/0")
    environment = settings_environment(settings)
    assert environment["MOEBIUS_REDIS_URL"] == "redis://:x@h/0"
    assert environment["MOEBIUS_DRAIN_TIMEOUT"] == "2.5"
    assert set(environment) == {f"MOEBIUS_{name.upper()}" for name in Settings.model_fields}
