"""A real Prometheus on a free port, with the project's own configuration and rules pointed at local processes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, time
from typing import Any

import httpx
import pytest
import yaml

from service.queue import launch

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
INTERVAL = "1s"  # between two scrapes, and between two evaluations of the rules
PENDING = "2s"  # what is left of an alert's `for`
PATIENCE = 60.0  # seconds; a bound for broken code on a busy machine, never waited for
POLL = 0.05


def binary(name: str) -> str:
    """The path of prometheus or promtool. Skips the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"MONITORING IS NOT TESTED: {name} is not installed (apt-get install prometheus)")
    return found


class LivePrometheus:
    """A Prometheus and what it has seen. Queries are about the moment `seen_at`, when the traffic was over, unless
    they name another, so that their answers do not depend on how long the tests before took.
    """

    def __init__(self, client: httpx.Client) -> None:
        """`client` knows its address."""
        self.url = str(client.base_url).rstrip("/")
        self.started_at = time()
        self.seen_at: float | None = None
        self._client = client

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """The instant vector: for each series its `metric` (labels) and `value` (Unix time, number as text).

        `at` is a Unix time. Raises AssertionError with Prometheus' own words where the expression is wrong.
        """
        moment = at or self.seen_at
        parameters: dict[str, str | float] = {"query": expression}
        if moment is not None:
            parameters["time"] = moment
        result: list[dict[str, Any]] = self._ask("query", parameters)["result"]
        return result

    def query_range(self, expression: str, step: float = 1.0) -> list[dict[str, Any]]:
        """The range vector from the start to `seen_at`: for each series its `metric` and `values`."""
        end = self.seen_at or time()
        parameters: dict[str, str | float] = {
            "query": expression,
            "start": self.started_at,
            "end": end,
            "step": step,
        }
        result: list[dict[str, Any]] = self._ask("query_range", parameters)["result"]
        return result

    def rules(self, kind: str) -> list[dict[str, Any]]:
        """Every rule of a kind, `alert` or `record`, with its health and state now."""
        groups = self._ask("rules", {"type": kind})["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def until(self, expression: str) -> list[dict[str, Any]]:
        """Poll an expression, now, until it has a result."""
        found: list[dict[str, Any]] = []

        def has_result() -> bool:
            found[:] = self.query(expression, at=time())
            return bool(found)

        until(has_result, expression)
        return found

    def await_scrape(self) -> None:
        """Return when every target has been scraped since the call, and the rules were evaluated after that."""
        asked = time()
        self.until(f"min(timestamp(up)) > {asked}")
        scraped = time()
        self.until(f"min(prometheus_rule_group_last_evaluation_timestamp_seconds) > {scraped}")

    def _ask(self, route: str, parameters: Mapping[str, str | float]) -> dict[str, Any]:
        answer = self._client.get(f"/api/v1/{route}", params=dict(parameters)).json()
        assert answer["status"] == "success", f"{answer['error']}: {parameters}"
        data: dict[str, Any] = answer["data"]
        return data


@contextmanager
def running_prometheus(folder: Path, targets: Mapping[str, Sequence[str]]) -> Iterator[LivePrometheus]:
    """Scrapes `targets` (host:port, by the job's name); gone after the block."""
    program, port = binary("prometheus"), free_port()
    configuration = local_configuration(folder, {**targets, "prometheus": [f"127.0.0.1:{port}"]})
    options = (
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    )
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", launch.__file__, str(os.getpid()), program, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: process.poll() is not None or is_ready(url), "Prometheus is ready")
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
            yield LivePrometheus(client)
    finally:
        process.kill()
        process.wait(PATIENCE)


def local_configuration(folder: Path, targets: Mapping[str, Sequence[str]]) -> Path:
    """A copy of the project's configuration, but for targets and times: those of the scrapes, and `for`."""
    configuration = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text())
    configuration["global"] |= {
        "scrape_interval": INTERVAL,
        "scrape_timeout": INTERVAL,
        "evaluation_interval": INTERVAL,
    }
    for job in configuration["scrape_configs"]:
        for discovery in [name for name in job if name.endswith("_sd_configs")]:
            del job[discovery]
        job["static_configs"] = [{"targets": list(targets[job["job_name"]])}]
    rules = folder / "rules"
    rules.mkdir()
    for path in (CONFIGURATION / "rules").glob("*.yml"):
        (rules / path.name).write_text(yaml.safe_dump(with_short_waits(yaml.safe_load(path.read_text()))))
    written = folder / "prometheus.yml"
    written.write_text(yaml.safe_dump(configuration))
    return written


def with_short_waits(rules: dict[str, Any]) -> dict[str, Any]:
    """The same rules, all evaluated as often, whose alerts fire after a moment."""
    for group in rules["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = PENDING
    return rules


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def is_ready(url: str) -> bool:
    """Whether a Prometheus answers there."""
    try:
        return httpx.get(f"{url}/-/ready", trust_env=False).is_success
    except httpx.TransportError:
        return False


def until(condition: Callable[[], object], told: str) -> None:
    """Poll a condition until it holds."""
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, f"never true: {told}"
        threading.Event().wait(POLL)
