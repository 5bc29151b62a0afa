"""A proxy between a process and the queue's server that loses or delays one request or its answer.

Which one is told by the script that it runs: requests name scripts by their SHA1.
"""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import redis

from service.queue.scripts import load_script

CHUNK = 65_536
TRANSITIONS = (
    "submit",
    "cancel",
    "claim",
    "finish",
    "fail",
    "release",
    "renew",
    "reclaim",
    "report",
    "observe",
)


def load_scripts(server: redis.Redis) -> None:
    """Let the server know all scripts, so that the first request to run one does."""
    for name in TRANSITIONS:
        server.script_load(load_script(name))


class Fault:
    """What happens to the next request that runs `script`, or to its answer: `hold` it, or `cut` the connection.

    A cut request never reaches the server; a cut answer was given, so the server has done what was asked.
    """

    def __init__(
        self, script: str, where: Literal["request", "answer"], action: Literal["hold", "cut"]
    ) -> None:
        self.mark = hashlib.sha1(load_script(script).encode()).hexdigest().encode()
        self.where = where
        self._action = action
        self._reached = threading.Event()
        self._released = threading.Event()

    @property
    def reached(self) -> bool:
        """Whether the request, or its answer, is here, and goes no further."""
        return self._reached.is_set()

    def release(self) -> None:
        """Let what is held go on."""
        self._released.set()

    def passes(self) -> bool:
        """Do it; answers whether the bytes go on after all."""
        self._reached.set()
        return self._action == "hold" and self._released.wait()


class FaultProxy:
    """Listens on `path` and passes on to the server's socket. A context manager."""

    def __init__(self, path: Path, server: Path) -> None:
        self._path = path
        self._server = server
        self._armed: list[Fault] = []
        self._met: list[Fault] = []
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)

    @property
    def url(self) -> str:
        """The address to give to the process."""
        return f"unix://{self._path}"

    def arm(self, script: str, where: Literal["request", "answer"], action: Literal["hold", "cut"]) -> Fault:
        """The next request that runs `script` meets this fault; faults are met in the order armed."""
        fault = Fault(script, where, action)
        with self._lock:
            self._armed.append(fault)
        return fault

    def __enter__(self) -> FaultProxy:
        self._listener.bind(str(self._path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for fault in (*self._armed, *self._met):
            fault.release()
        _close(self._listener)
        with self._lock:
            for end in self._open:
                _close(end)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                process, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                with self._lock:
                    self._open += [process, server]
                try:
                    server.connect(str(self._server))
                except OSError:
                    _close(process)
                    _close(server)
                    continue
                _Connection(self, process, server).start()

    def meet(self, data: bytes) -> Fault | None:
        """The fault for a request with these bytes, if one is armed."""
        with self._lock:
            fault = next((one for one in self._armed if one.mark in data), None)
            if fault is not None:
                self._armed.remove(fault)
                self._met.append(fault)
            return fault


class _Connection:
    """One connection of the process, and ours to the server for it; a thread for each direction."""

    def __init__(self, proxy: FaultProxy, process: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._process = process
        self._server = server
        self._answer_fault: Fault | None = None

    def start(self) -> None:
        threading.Thread(target=self._guarded, args=(self._requests,), daemon=True).start()
        threading.Thread(target=self._guarded, args=(self._answers,), daemon=True).start()

    def _guarded(self, pump: Callable[[], None]) -> None:
        with suppress(OSError):
            pump()
        _close(self._process)
        _close(self._server)

    def _requests(self) -> None:
        before = b""
        while data := self._process.recv(CHUNK):
            fault = self._proxy.meet(before + data)
            before = data[-39:]  # the mark may lie across two chunks
            if fault is not None and fault.where == "answer":
                self._answer_fault = fault
            elif fault is not None and not fault.passes():
                return
            self._server.sendall(data)

    def _answers(self) -> None:
        while data := self._server.recv(CHUNK):
            fault, self._answer_fault = self._answer_fault, None
            if fault is not None and not fault.passes():
                return
            self._process.sendall(data)


def _close(end: socket.socket) -> None:
    """Wake whoever reads from it, too."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
