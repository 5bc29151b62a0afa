"""A server that may be killed, the edge's end of its queue, processes that may be killed, and jobs to lose."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from PIL import Image

from service.contracts import Job, Params, Result, ServedModel, WorkerRegistration
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.settings import Settings
from tests.faults.endings import ALICE
from tests.faults.processes import EdgeProcess, WorkerProcess
from tests.faults.proxy import FaultProxy, load_scripts
from tests.integration.edge.pictures import MASK, PHOTO, SIZE, encode
from tests.queue_server import QueueServer, running_server

MODEL = "moebius-nano"
POISON = encode(Image.new("RGB", SIZE, (255, 0, 255)))
SHORT_LEASE = 2.0  # seconds; what a test waits for that needs a lease to end
STEPS = 6


@pytest.fixture
def server() -> Iterator[QueueServer]:
    """The test's own server. Overridden where a test runs on each kind."""
    with running_server("valkey") as server:
        yield server


@pytest.fixture
def connection(server: QueueServer) -> Iterator[redis.Redis]:
    """A plain connection, to look at keys and to do harm."""
    with server.connect() as connection:
        load_scripts(connection)
        yield connection


@pytest.fixture
def settings(server: QueueServer) -> Settings:
    """Of every process; the lease is too long to end in a test."""
    return Settings(
        model=MODEL,
        backend="dummy",
        redis_url=server.url,
        port=0,
        grpc_port=0,
        metrics_port=0,
        lease=60.0,
        renew_every=0.3,
        picture_threads=1,
        max_client_share=1.0,
    )


@pytest.fixture
def short_lease(settings: Settings) -> Settings:
    """The same with a lease that a test can wait for."""
    return settings.model_copy(update={"lease": SHORT_LEASE})


@pytest.fixture
async def client(server: QueueServer, settings: Settings) -> AsyncIterator[QueueClient]:
    client = QueueClient(server.url, settings)
    yield client
    await client.aclose()


@pytest.fixture
def proxy(server: QueueServer) -> Iterator[FaultProxy]:
    """In front of the server; its folder's path is short enough for a unix socket."""
    with tempfile.TemporaryDirectory(prefix="mb-proxy-") as folder:
        upstream = Path(server.url.removeprefix("unix://"))
        with FaultProxy(Path(folder) / "socket", upstream) as proxy:
            yield proxy


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts a worker with these settings; a shut gate holds its steps from the first job on."""
    started: list[WorkerProcess] = []

    def start(settings: Settings, *, gate_shut: bool = False, **changed: Any) -> WorkerProcess:
        folder = tmp_path / f"worker-{len(started)}"
        folder.mkdir()
        worker = WorkerProcess(folder, settings.model_copy(update=changed))
        if gate_shut:
            worker.shut_gate()
        started.append(worker)
        worker.start()
        return worker

    yield start
    for worker in started:
        worker.kill()


@pytest.fixture
def start_edge(tmp_path: Path) -> Iterator[Callable[[Settings], EdgeProcess]]:
    started: list[EdgeProcess] = []

    def start(settings: Settings) -> EdgeProcess:
        folder = tmp_path / f"edge-{len(started)}"
        folder.mkdir()
        started.append(EdgeProcess(folder, settings))
        started[-1].start()
        return started[-1]

    yield start
    for edge in started:
        edge.kill()


@pytest.fixture
def new_consumer(server: QueueServer, settings: Settings) -> Iterator[Callable[..., QueueConsumer]]:
    """A worker's end of the queue, in this process, for jobs that are claimed and finished by hand."""
    made: list[QueueConsumer] = []

    def make(url: str = server.url, **changed: Any) -> QueueConsumer:
        model = ServedModel(MODEL, 64, "dummy", "cpu", "fp32", "0" * 64)
        registration = WorkerRegistration(f"by-hand-{os.getpid()}-{len(made)}", (model,), places=8)
        made.append(QueueConsumer(url, settings.model_copy(update=changed), registration))
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()


@pytest.fixture
async def new_job(client: QueueClient) -> Callable[..., Job]:
    """Makes jobs of `owner`, due `timeout` seconds from now by the queue's clock."""
    now = await client.now()

    def make(*, image: bytes = PHOTO, timeout: float = 600.0, steps: int = STEPS, **more: Any) -> Job:
        job_id = client.new_job_id(ALICE, more.get("idempotency_key"))
        params = Params(model=MODEL, seed=7, steps=steps, guidance_scale=1.0)
        return Job(job_id, ALICE, params, image, MASK, now + timeout, **more)

    return make


def result_of(seed: int) -> Result:
    """A result by hand, told from others by its seed."""
    return Result((b"\x89PNG " + str(seed).encode(),), "image/png", (seed,), MODEL)
