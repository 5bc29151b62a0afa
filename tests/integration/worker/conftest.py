"""A real queue with an edge's end, and workers in threads, on an engine that tests can hold still."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import pytest

from service.contracts import Job, Params, Result
from service.engine.base import Array
from service.engine.dummy import DummyEngine
from service.engine.latent_engine import Integers
from service.errors import InpaintError
from service.queue.client import QueueClient
from service.queue.consumer import Claim, QueueConsumer
from service.queue.keys import new_job_id
from service.settings import Settings
from service.worker.loop import Worker
from service.worker.process import registration_of
from tests.integration.edge.pictures import MASK, PHOTO

CLIENT = "alice"
PATIENCE = 60.0  # seconds; a bound for broken code, never waited for


class GatedEngine(DummyEngine):
    """The dummy, whose steps wait at a gate while it is shut, and fail with `fault` if there is one."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, image_size=64)
        self.gate = threading.Event()
        self.gate.set()
        self.stepping = threading.Event()
        self.steps = 0
        self.fault: Exception | None = None

    def predict(self, sample: Array, timesteps: Integers, token_ids: Integers) -> Array:
        self.steps += 1
        self.stepping.set()
        assert self.gate.wait(PATIENCE)
        if self.fault is not None:
            raise self.fault
        return super().predict(sample, timesteps, token_ids)


class CountingConsumer(QueueConsumer):
    """The worker's end of the queue, which counts renewals, and fails with `fault` at a result if there is one."""

    renewals = 0
    refusals = 0
    fault: InpaintError | None = None

    def renew(self, claims: Sequence[Claim]) -> list[Claim]:
        owned = super().renew(claims)
        self.renewals += 1
        return owned

    def finish(self, claim: Claim, result: Result) -> bool:
        if self.fault is not None:
            self.refusals += 1
            raise self.fault
        return super().finish(claim, result)


class RunningWorker:
    """A worker in a thread."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.engine = GatedEngine(settings)
        self.consumer = CountingConsumer(url, settings, registration_of(settings, self.engine))
        self.worker = Worker(settings, self.consumer, self.engine)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.thread.start()

    def end(self, *, drain: bool) -> None:
        self.worker.stop(drain=drain)
        self.engine.gate.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@pytest.fixture
def settings() -> Settings:
    return Settings(backend="dummy", renew_every=0.3, drain_timeout=PATIENCE)


@pytest.fixture
def start_worker(queue_url: str, settings: Settings) -> Iterator[Callable[..., RunningWorker]]:
    running: list[RunningWorker] = []

    def start(**changes: object) -> RunningWorker:
        running.append(RunningWorker(queue_url, settings.model_copy(update=changes)))
        return running[-1]

    yield start
    for worker in running:
        worker.end(drain=False)


@pytest.fixture
async def client(queue_url: str, settings: Settings) -> AsyncIterator[QueueClient]:
    client = QueueClient(queue_url, settings)
    yield client
    await client.aclose()


@pytest.fixture
async def new_job(client: QueueClient, settings: Settings) -> Callable[..., Job]:
    now = await client.now()

    def make(*, image: bytes = PHOTO, mask: bytes = MASK, timeout: float = PATIENCE, **params: object) -> Job:
        checked = Params.model_validate({"model": settings.model, "seed": 7, "steps": 3, **params})
        return Job(new_job_id(), CLIENT, checked, image, mask, now + timeout)

    return make
