"""That the trial's Redis starts as its pod starts it: kept on disk, nothing evicted, no entry without the password."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.deploy.chart import container, named, rendered

PASSWORD = "a pass'word"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def as_the_pod_starts_it(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The container's own command, with another folder and port."""
    redis_container = container(named(rendered("laptop"), "StatefulSet", "moebius-redis"))
    (script,) = redis_container["args"]
    assert "dir /data\n" in script
    script = script.replace("dir /data\n", f"dir {folder}\nport {port}\n")
    environment = {**os.environ, "REDISCLI_AUTH": PASSWORD}
    process = subprocess.Popen([*redis_container["command"], script], env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="NOT TESTED: redis-server is not installed")
def test_the_trial_redis_keeps_all_on_disk_and_wants_its_password(tmp_path: Path) -> None:
    port = free_port()
    patience = Retry(ConstantBackoff(0.1), 100)
    with as_the_pod_starts_it(tmp_path, port) as process:
        with redis.Redis(host="127.0.0.1", port=port, password=PASSWORD, retry=patience) as client:
            assert client.ping()
            told = client.config_get("append*", "maxmemory*")
            assert (told["appendonly"], told["appendfsync"]) == ("yes", "always")
            assert (told["maxmemory"], told["maxmemory-policy"]) == (str(1024**3), "noeviction")
        with redis.Redis(host="127.0.0.1", port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert PASSWORD.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert process.poll() is None
