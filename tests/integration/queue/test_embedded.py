"""The embedded server: durable, alone in its folder, and gone when we are."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import redis

from service.errors import QueueUnavailable
from service.queue.embedded import EmbeddedServer

HOLD_A_SERVER = """
import sys, time
from pathlib import Path
from service.queue.embedded import EmbeddedServer

with EmbeddedServer(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def every_key_has_a_lifetime() -> None:
    """The servers here are the tests' own, with keys that are no queue's."""


def servers_of(folder: Path) -> list[psutil.Process]:
    """Processes that hold the folder's append-only file or work in it."""
    found = []
    for process in psutil.process_iter(["name", "cwd"]):
        if process.info["name"] == "valkey-server" and process.info["cwd"] == str(folder):
            found.append(process)
    return found


def gone(folder: Path) -> bool:
    """Poll until no server is left in the folder."""
    until = time.monotonic() + 60
    while servers_of(folder):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as connection:
        connection.set("kept", "yes")
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as connection:
        assert connection.get("kept") == b"yes"


def test_every_write_is_on_disk_before_it_is_answered(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as connection:
        wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}
        assert {name: connection.config_get(name)[name] for name in wanted} == wanted


def test_it_refuses_writes_beyond_its_memory_and_still_deletes(tmp_path: Path) -> None:
    memory = 16 * 1024**2
    with EmbeddedServer(tmp_path, memory) as server, redis.Redis.from_url(server.url) as connection:
        assert connection.config_get("maxmemory") == {"maxmemory": str(memory)}
        parts = (connection.set(f"part-{index}", bytes(memory // 16)) for index in range(32))
        with pytest.raises(redis.OutOfMemoryError):
            list(parts)
        connection.delete(*(f"part-{index}" for index in range(8)))
        assert connection.set("more", "x")


def test_a_killed_server_loses_nothing(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as connection:
        connection.set("kept", "yes")
        servers_of(tmp_path)[0].kill()
        assert gone(tmp_path)
        assert not server.running
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as connection:
        assert connection.get("kept") == b"yes"


def test_a_second_server_in_the_same_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.queue.embedded.LOCK_TIMEOUT", 0.05)
    with EmbeddedServer(tmp_path) as first:
        with pytest.raises(QueueUnavailable, match="Another queue server uses the folder"):
            EmbeddedServer(tmp_path).start()
        with redis.Redis.from_url(first.url) as connection:
            assert connection.ping()


def test_it_leaves_no_socket_and_no_process(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        address = Path(server.url.removeprefix("unix://"))
        assert address.is_socket()
    assert not address.exists()
    assert servers_of(tmp_path) == []
    server.stop()


def test_a_folder_too_deep_for_a_socket_gets_one_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    with EmbeddedServer(deep) as server:
        address = Path(server.url.removeprefix("unix://"))
        assert address.parent == Path(tempfile.gettempdir())
        assert address.stat().st_mode & 0o077 == 0
    assert not address.exists()


@pytest.mark.parametrize("name", ["a b", "50%25?db=1#x", "'quoted\"", "--port"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    with EmbeddedServer(tmp_path / name) as server, redis.Redis.from_url(server.url) as connection:
        assert connection.config_get("dir") == {"dir": str(tmp_path / name)}


def test_the_server_has_a_session_of_its_own(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path):
        (process,) = servers_of(tmp_path)
        assert os.getsid(process.pid) == process.pid


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_goes_when_we_are_killed(tmp_path: Path, signal_number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_A_SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        address = Path(holder.stdout.readline().strip().removeprefix("unix://"))
        assert address.is_socket()
        holder.send_signal(signal_number)
        holder.wait()
    assert gone(tmp_path)
    assert not address.exists()
    with EmbeddedServer(tmp_path) as server:
        assert server.running


def test_a_server_that_can_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    (tmp_path / "appendonlydir" / "appendonly.aof.manifest").write_text("not a manifest\n")
    with pytest.raises(QueueUnavailable, match="ended at once"):
        EmbeddedServer(tmp_path).start()
    assert servers_of(tmp_path) == []


def test_a_folder_that_can_not_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(QueueUnavailable, match="can't start"):
        EmbeddedServer(tmp_path / "file").start()


def test_a_stale_socket_is_no_obstacle(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "valkey.sock"))
    with EmbeddedServer(tmp_path) as server:
        assert server.running
