"""What a queue server was asked, and how long each took its one thread: its slow log with nothing left out."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import redis

from service.queue.client import TRANSITIONS as OF_EDGES
from service.queue.consumer import TRANSITIONS as OF_WORKERS
from service.queue.scripts import load_script

MOST_ENTRIES = 500_000
OF_CLIENTS = {("SET", "image"), ("SET", "mask"), ("GET", "image"), ("GET", "mask"), ("HGETALL", "result")}
WITHIN_SCRIPTS = "within scripts"  # commands that a script calls: their time is the script's already


@dataclass(slots=True)
class ServerLog:
    """Calls and microseconds by name: a script's, or a command's that a client sent itself."""

    calls: Counter[str] = field(default_factory=Counter)
    microseconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    received_bytes: int = 0
    sent_bytes: int = 0
    file_bytes: int = 0

    @property
    def commands(self) -> int:
        """All that the server ran, what scripts called included."""
        return self.calls.total()

    def busy_microseconds(self) -> float:
        """Of the server's thread, without reading from and writing to sockets and the disk."""
        return sum(spent for name, spent in self.microseconds.items() if name != WITHIN_SCRIPTS)


@contextmanager
def server_log(connection: redis.Redis) -> Iterator[ServerLog]:
    """Fill the log with what the server is asked in this block. Logging itself takes the server a little."""
    log = ServerLog()
    connection.config_set("slowlog-max-len", MOST_ENTRIES)
    connection.config_set("auto-aof-rewrite-percentage", 0)  # else the file could shrink
    before: dict[str, Any] = connection.info()
    connection.config_set("slowlog-log-slower-than", 0)
    connection.slowlog_reset()
    try:
        yield log
    finally:
        connection.config_set("slowlog-log-slower-than", -1)
    after: dict[str, Any] = connection.info()
    log.received_bytes = after["total_net_input_bytes"] - before["total_net_input_bytes"]
    log.sent_bytes = after["total_net_output_bytes"] - before["total_net_output_bytes"]
    log.file_bytes = after["aof_current_size"] - before["aof_current_size"]
    names = script_names()
    for entry in connection.slowlog_get(-1):
        name = _name(entry["command"].split(b" "), names)
        log.calls[name] += 1
        log.microseconds[name] += entry["duration"]


def script_names() -> dict[str, str]:
    """The names of the queue's scripts by their digests, as the server knows them."""
    return {
        hashlib.sha1(load_script(name).encode(), usedforsecurity=False).hexdigest(): name
        for name in (*OF_EDGES, *OF_WORKERS)
    }


def _name(words: list[bytes], names: dict[str, str]) -> str:
    """The log does not say who called: commands of clients themselves are known by the keys of pictures."""
    command = words[0].decode().upper()
    if command == "EVALSHA":
        return names[words[1].decode()]
    kind = words[1].split(b":")[2].decode() if len(words) > 1 and words[1].count(b":") > 2 else ""
    return f"{command} {kind}" if (command, kind) in OF_CLIENTS else WITHIN_SCRIPTS
