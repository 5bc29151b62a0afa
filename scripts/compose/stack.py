"""The stack of docker-compose.yml under a name and ports of its own, and what can be done to its containers."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.compose.waiting import CheckError, await_that

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "moebius-check"
SERVICES = ("redis", "worker", "edge", "prometheus")
PORTS = ("HTTP_PORT", "GRPC_PORT", "PROMETHEUS_PORT")
CORES = min(2, os.cpu_count() or 1)
MOST_BATCHED = 3  # places of a worker, as many as the demo has crops: a second job has to wait
OURS = ("COMPOSE_", "EDGE_", "GPU_", "GRAFANA_", "MOEBIUS_", "PROMETHEUS_", "PUBLISH_", "REDIS_", "WORKER_")
# Sent from a container that sees the host's processes: the first process of a container hears no SIGKILL from inside,
# and after `docker kill` the engine would not start it again, as it does after a crash.
KILL = "import os, sys; os.kill(int(sys.argv[1]), 9)"
LOG_LINES = "25"


@dataclass(frozen=True)
class Container:
    """What the engine says of a container."""

    name: str
    process: int
    status: str
    health: str
    exit_code: int
    started: str
    restarts: int

    @classmethod
    def of(cls, found: dict[str, Any]) -> Container:
        """From one element of `docker inspect`."""
        state = found["State"]
        return cls(
            name=found["Name"].lstrip("/"),
            process=state["Pid"],
            status=state["Status"],
            health=state.get("Health", {}).get("Status", ""),
            exit_code=state["ExitCode"],
            started=state["StartedAt"],
            restarts=found["RestartCount"],
        )


class Stack:
    """Runs the images of `version` as the Compose project PROJECT, with what .env.example says, and no Grafana."""

    def __init__(self, version: str) -> None:
        self._edge_image = f"moebius-edge:{version}"
        ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self.http = f"http://127.0.0.1:{ports['HTTP_PORT']}"
        self.grpc = f"127.0.0.1:{ports['GRPC_PORT']}"
        self.prometheus = f"http://127.0.0.1:{ports['PROMETHEUS_PORT']}"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(OURS)},
            **ports,
            "MOEBIUS_VERSION": version,
            "MOEBIUS_MAX_BATCH": str(MOST_BATCHED),
            "WORKER_CPUS": str(CORES),
            "REDIS_PASSWORD": secrets.token_hex(24),
            "GRAFANA_PASSWORD": secrets.token_hex(24),
        }

    def up(self, *, workers: int = 1) -> None:
        """Start what does not run, and wait until all of it is healthy."""
        self._compose(
            "up",
            "--detach",
            "--wait",
            "--wait-timeout",
            "300",
            "--no-build",
            "--scale",
            f"worker={workers}",
            *SERVICES,
        )

    def stop(self) -> None:
        """Stop everything in good order."""
        self._compose("stop")

    def down(self) -> None:
        """Remove everything, volumes too."""
        self._compose("down", "--volumes", "--remove-orphans")

    def containers(self, *services: str) -> list[Container]:
        """Those of some services, or all; stopped ones, too."""
        names = self._compose("ps", "--all", "--quiet", *services).split()
        return [Container.of(found) for found in json.loads(docker("inspect", *names))] if names else []

    def container(self, service: str) -> Container:
        """That of a service which has one."""
        (found,) = self.containers(service)
        return found

    def kill(self, service: str) -> Container:
        """End the first process of a service's container without warning; what the container was is returned."""
        container = self.container(service)
        privileges = ("--pid", "host", "--network", "none", "--user", "0", "--cap-add", "KILL")
        command = ("--entrypoint", "python", self._edge_image, "-c", KILL, str(container.process))
        docker("run", "--rm", *privileges, *command)
        return container

    def await_return(self, service: str, killed: Container) -> None:
        """Wait until a killed container was started again by its restart policy, and is healthy."""

        def is_back() -> bool:
            now = self.container(service)
            return now.restarts > killed.restarts and now.status == "running" and now.health == "healthy"

        await_that(f"{service} was started again and was healthy", is_back)

    def logs(self) -> str:
        """The last lines of every container, and how they are."""
        return self._compose("ps", "--all") + self._compose("logs", "--tail", LOG_LINES)

    def left_behind(self) -> list[str]:
        """Names of containers, volumes and networks of the project."""
        label = ("--filter", f"label=com.docker.compose.project={PROJECT}", "--quiet")
        kinds = (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        return [name for kind in kinds for name in docker(*kind, *label).split()]

    def _compose(self, *arguments: str) -> str:
        files = ("--project-name", PROJECT, "--env-file", ".env.example", "--file", "docker-compose.yml")
        return docker("compose", *files, *arguments, environment=self._environment)


@contextmanager
def stack_of(version: str) -> Iterator[Stack]:
    """A stack that is not up yet, and is gone after the block; its logs are shown where the block fails."""
    stack = Stack(version)
    try:
        yield stack
    except BaseException:
        print(stack.logs())
        raise
    finally:
        stack.down()


def docker(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """What `docker ARGUMENTS` writes to stdout. CheckError, with what it complained of, where it fails."""
    done = subprocess.run(
        ["docker", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CheckError(f"`docker {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout


def free_ports(count: int) -> list[int]:
    """So many different ports that nobody listens on now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
