"""The monitored service: a queue server, an edge and three workers, each a real process that may be harmed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.contracts import ServedModel, WorkerRegistration
from service.queue.consumer import QueueConsumer
from service.queue.keys import Shard
from service.settings import Settings
from tests.faults.processes import LISTENS, OWN_PORT, EdgeProcess, WorkerProcess
from tests.monitoring import worker_main
from tests.monitoring.prometheus_server import until
from tests.queue_server import QueueServer, running_server

MODEL = "moebius-nano"
UNATTENDED = "moebius-places2"  # a model whose worker is this process, which takes jobs and then falls silent
MEMORY = 256 * 1024**2  # bytes that the queue's server may hold
LEASE = 2.0  # seconds; what a fault costs the fixture that needs a lease to end
GRPC = re.compile(r"gRPC at ([^)\s]+)\)")


class MonitoredWorker(WorkerProcess):
    """A worker on a device that tells its memory."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        super().__init__(folder, settings)
        self._command = [worker_main.__file__]

    @property
    def address(self) -> str:
        """The host:port of its metrics."""
        address: str = OWN_PORT.findall(self.log)[-1]
        return address.removeprefix("http://")

    @property
    def pid(self) -> int:
        """The process id, which is a part of its name in the queue."""
        return self._running.pid

    @property
    def came_up(self) -> bool:
        """Whether it takes jobs; AssertionError where it never will."""
        assert not self.ended, self.log
        return OWN_PORT.search(self.log) is not None and self.ready


@dataclass
class Stack:
    """All processes, and the addresses of the edge."""

    settings: Settings
    server: QueueServer
    edge: EdgeProcess
    workers: list[MonitoredWorker]
    url: str = ""
    grpc: str = ""

    def start(self) -> None:
        """Start everything, and wait until each worker takes jobs."""
        self.edge.start()
        for worker in self.workers:
            worker.start()
        until(lambda: self.edge.ended or GRPC.search(self.edge.log), "the edge listens")
        http, grpc = LISTENS.search(self.edge.log), GRPC.search(self.edge.log)
        assert http is not None, self.edge.log
        assert grpc is not None, self.edge.log
        self.url, self.grpc = http[1], grpc[1]
        until(lambda: all(worker.came_up for worker in self.workers), "all workers take jobs")

    @property
    def targets(self) -> dict[str, list[str]]:
        """What Prometheus scrapes, by the names of its jobs."""
        return {
            "edge": [self.url.removeprefix("http://")],
            "worker": [worker.address for worker in self.workers],
        }

    @contextmanager
    def unattended(self) -> Iterator[QueueConsumer]:
        """A worker's end of the queue in this process, for jobs of `UNATTENDED` that are taken and never done.

        Another one stands for it in the list of workers, so that the model is served for the whole block.
        """
        model = ServedModel(UNATTENDED, 64, "dummy", "cpu", "fp32", "0" * 64)
        lasting, brief = (self.settings.model_copy(update={"lease": lease}) for lease in (60.0, 0.2))
        listed = QueueConsumer(self.server.url, lasting, WorkerRegistration("listed", (model,), places=1))
        silent = QueueConsumer(self.server.url, brief, WorkerRegistration("silent", (model,), places=1))
        with closing(listed), closing(silent):
            listed.register()
            yield silent

    def jobs_of(self, worker: MonitoredWorker) -> list[bytes]:
        """The jobs that this worker has now."""
        shard = Shard()
        with self.server.connect() as connection:
            running = connection.zrange(shard.key("leases"), 0, -1)
            owners = [(job, connection.hget(shard.key("job", job.decode()), "worker")) for job in running]
        return [job for job, owner in owners if owner and f"-{worker.pid}-".encode() in owner]

    def edge_is_ready(self) -> bool:
        """As its own page tells."""
        return httpx.get(f"{self.url}/readyz", timeout=60, trust_env=False).is_success


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """An edge and three workers on simulated devices, before a server that keeps what it has on disk."""
    with running_server("valkey", memory=MEMORY) as server:
        settings = Settings(
            model=MODEL,
            backend="dummy",
            redis_url=server.url,
            port=0,
            grpc_port=0,
            metrics_port=0,
            lease=LEASE,
            renew_every=0.3,
            picture_threads=1,
            max_client_share=1.0,
            dummy_step_seconds=0.01,
            dummy_item_seconds=0.002,
        )
        for name in ("edge", "worker-0", "worker-1", "worker-2"):
            (folder / name).mkdir()
        workers = [MonitoredWorker(folder / f"worker-{number}", settings) for number in range(3)]
        stack = Stack(settings, server, EdgeProcess(folder / "edge", settings), workers)
        try:
            stack.start()
            yield stack
        finally:
            for process in (*workers, stack.edge):
                process.kill()
