"""`moebius-ready`: the exit status is the readiness of what listens, and the reason is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from service.ready import DEFAULT_HOST, PORTS
from service.settings import Settings
from service.worker.health import HealthServer


def ask(part: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it as a container does, with an environment of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MOEBIUS_")}
    return subprocess.run(
        [sys.executable, "-m", "service.ready", part],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def states() -> list[bool]:
    """What the worker says of itself."""
    return [True]


@pytest.fixture
def port(states: list[bool]) -> Iterator[str]:
    with HealthServer("127.0.0.1", 0, lambda: states[0]) as health:
        yield health.url.rpartition(":")[2]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_ready_worker_ends_it_with_0(port: str, host: str) -> None:
    found = ask("worker", MOEBIUS_HOST=host, MOEBIUS_METRICS_PORT=port)
    assert (found.returncode, found.stderr) == (0, "")


def test_a_worker_that_is_not_ready_ends_it_with_1_and_its_words(port: str, states: list[bool]) -> None:
    states[0] = False
    found = ask("worker", MOEBIUS_METRICS_PORT=port)
    assert found.returncode == 1
    assert "The worker is not ready" in found.stderr
    assert '{"status": "not ready"}' in found.stderr


def test_an_edge_is_asked_at_its_own_port(port: str) -> None:
    assert ask("edge", MOEBIUS_PORT=port).returncode == 0


def test_where_nobody_listens_it_ends_with_1_and_names_the_port() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        free = str(held.getsockname()[1])
        found = ask("edge", MOEBIUS_PORT=free)
    assert found.returncode == 1
    assert f"No edge answers at port {free} of 127.0.0.1" in found.stderr


def test_it_asks_where_the_service_listens_unless_told_otherwise() -> None:
    fields = Settings.model_fields
    assert fields["host"].default == DEFAULT_HOST
    told = {name.removeprefix("MOEBIUS_").lower(): default for name, default in PORTS.values()}
    assert told == {name: fields[name].default for name in told}
