"""A real queue with an edge's end, and workers in threads, on an engine that tests can hold still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from service.contracts import Job, Params
from service.queue.client import QueueClient
from service.queue.keys import new_job_id
from service.settings import Settings
from service.worker.profile import BatchProfile
from tests.integration.edge.pictures import MASK, PHOTO
from tests.integration.worker.gated_engine import PATIENCE
from tests.integration.worker.running_worker import CLIENT, QUICK, RunningWorker


@pytest.fixture
def settings() -> Settings:
    return Settings(backend="dummy", renew_every=0.3, drain_timeout=PATIENCE)


@pytest.fixture
def start_worker(queue_url: str, settings: Settings) -> Iterator[Callable[..., RunningWorker]]:
    running: list[RunningWorker] = []

    def start(url: str = queue_url, profile: BatchProfile = QUICK, **changes: object) -> RunningWorker:
        running.append(RunningWorker(url, settings.model_copy(update=changes), profile))
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

    def make(
        *,
        image: bytes = PHOTO,
        mask: bytes = MASK,
        timeout: float = PATIENCE,
        places: int = 0,
        **params: object,
    ) -> Job:
        resolved = {"model": settings.model, "seed": 7, "steps": 3, "guidance_scale": 2.0}
        checked = Params.model_validate({**resolved, **params})
        return Job(new_job_id(), CLIENT, checked, image, mask, now + timeout, places=places or checked.n)

    return make
