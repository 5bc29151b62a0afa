"""The supervisor, with small programs in the worker's place."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from service.settings import Settings
from service.supervisor import WorkerSupervisor, settings_environment

PATIENCE = 60.0

SLEEPS = "import threading; threading.Event().wait()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); {SLEEPS}"
NOTES_ITS_LIFE = "import os; open(os.environ['MOEBIUS_STATE_DIR'] + '/lives', 'a').write('x')"


def until(condition: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, "the condition never held"
        threading.Event().wait(0.01)


@contextmanager
def supervising(
    folder: Path, program: str, on_given_up: Callable[[], None] = lambda: None
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
    given_up = threading.Event()
    with supervising(tmp_path, f"{NOTES_ITS_LIFE}; raise SystemExit(78)", given_up.set) as supervisor:
        assert given_up.wait(PATIENCE)
        assert supervisor.worker_pid is None
    assert (tmp_path / "lives").read_text() == "x"


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
