"""The supervisor and the group of workers, with small programs in the worker's place."""

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

from service.exit_codes import EXIT_HUNG, EXIT_OUT_OF_MEMORY
from service.metrics import REGISTRY
from service.settings import Settings
from service.supervisor import (
    MOST_EARLY_DEATHS,
    WORKER,
    WorkerSupervisor,
    code_environment,
    settings_environment,
)
from service.worker_group import WorkerGroup

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


def restarts() -> float:
    return REGISTRY.get_sample_value("inpaint_worker_restarts_total") or 0.0


def test_a_restart_is_counted_and_the_first_start_is_not(tmp_path: Path, no_backoff: None) -> None:
    before = restarts()
    lives = tmp_path / "lives"
    program = f"{NOTES_ITS_LIFE}\nif len(open({str(lives)!r}).read()) == 1: raise SystemExit(3)\n{SLEEPS}"
    with supervising(tmp_path, program):
        until(lambda: lives.exists() and lives.read_text() == "xx")
    assert restarts() == before + 1


@pytest.mark.parametrize(
    ("status", "cause"), [(EXIT_HUNG, "its device hung"), (EXIT_OUT_OF_MEMORY, "its device's memory ran out")]
)
def test_a_worker_that_hung_or_ran_out_of_memory_is_started_again_and_the_log_says_why(
    status: int, cause: str, tmp_path: Path, no_backoff: None, caplog: pytest.LogCaptureFixture
) -> None:
    lives = tmp_path / "lives"
    with supervising(tmp_path, f"{NOTES_ITS_LIFE}; raise SystemExit({status})") as supervisor:
        supervisor.note_ready()
        until(lambda: lives.exists() and len(lives.read_text()) >= 2)
    ends = [vars(record)["end"] for record in caplog.records if "started again" in record.message]
    assert ends[0] == f"ended with status {status}: {cause}"


def test_the_settings_reach_the_child_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        state_dir=tmp_path,
        backend="dummy",
        drain_timeout=2.5,
        redis_url="redis://:x@h/0",
        api_keys={'al"ice': "a" * 64},
        trusted_proxies=("10.0.0.0/8", "::1"),
    )
    environment = settings_environment(settings)
    assert set(environment) == {f"MOEBIUS_{name.upper()}" for name in Settings.model_fields}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


TELLS_ITS_DEVICE = (
    "import os; open(os.path.join(os.environ['MOEBIUS_STATE_DIR'], "
    "os.environ['MOEBIUS_DEVICE'] + '.' + os.environ['MOEBIUS_THREADS']), 'a').write('x')"
)
GIVES_UP_ON_THE_GPU = f"{TELLS_ITS_DEVICE}\nif os.environ['MOEBIUS_DEVICE'] != 'cpu': raise SystemExit(78)\n"


@contextmanager
def grouping(program: str, settings: Settings, reasons: list[str]) -> Iterator[WorkerGroup]:
    group = WorkerGroup(settings, reasons.append, command=(sys.executable, "-c", program))
    group.start()
    try:
        yield group
    finally:
        group.stop(lambda: True)


def test_there_is_a_process_for_each_device_with_settings_of_its_own(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, devices="cuda:0,cuda:1,cpu", threads=3)
    with grouping(f"{TELLS_ITS_DEVICE}; {SLEEPS}", settings, []) as group:
        until(lambda: {path.name for path in tmp_path.iterdir()} == {"cuda:0.3", "cuda:1.3", "cpu.3"})
        assert len(group.worker_pids) == 3
    assert group.worker_pids == []


def test_a_device_that_is_unusable_leaves_the_others_at_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reasons: list[str] = []
    settings = Settings(state_dir=tmp_path, devices="cuda:7,cpu", threads=1)
    with grouping(GIVES_UP_ON_THE_GPU + SLEEPS, settings, reasons) as group:
        until(lambda: "a worker is given up, the others go on" in caplog.messages)
        until(lambda: (tmp_path / "cpu.1").exists())
        assert len(group.worker_pids) == 1
    assert reasons == []
    told = next(vars(record)["reason"] for record in caplog.records if "given up" in record.message)
    assert "device cuda:7 can't run" in told


def test_the_service_is_told_once_when_no_worker_can_ever_run(tmp_path: Path) -> None:
    reasons: list[str] = []
    settings = Settings(state_dir=tmp_path, devices="cuda:7,cuda:8")
    with grouping(GIVES_UP_ON_THE_GPU, settings, reasons) as group:
        until(lambda: bool(reasons))
        assert group.worker_pids == []
    assert len(reasons) == 1
    assert "cuda:7" in reasons[0]
    assert "cuda:8" in reasons[0]


def test_workers_drain_at_the_same_time(tmp_path: Path) -> None:
    """Each ends only once the other has been told to: told one by one, they would wait for ever."""
    meets = (
        "import os, pathlib, signal, threading\n"
        "folder, told = pathlib.Path(os.environ['MOEBIUS_STATE_DIR']), threading.Event()\n"
        "signal.signal(signal.SIGTERM, lambda *_: told.set())\n"
        "(folder / f'up-{os.getpid()}').touch()\n"
        "while not told.wait(0.01): pass\n"
        "(folder / f'told-{os.getpid()}').touch()\n"
        "while len(list(folder.glob('told-*'))) < 2: threading.Event().wait(0.01)\n"
        "(folder / f'end-{os.getpid()}').touch()\n"
    )
    settings = Settings(state_dir=tmp_path, workers=2, drain_timeout=PATIENCE)
    with grouping(meets, settings, []) as group:
        until(lambda: len(list(tmp_path.glob("up-*"))) == 2)
        group.stop(lambda: False)
    assert len(list(tmp_path.glob("end-*"))) == 2
