"""An edge's and a worker's end of one real queue, and the check that no key is left without a lifetime."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from fnmatch import fnmatchcase

import pytest
import redis

from service.contracts import Box, Job, Params, Priority, Result, ServedModel, WorkerRegistration
from service.queue.client import QueueClient
from service.queue.consumer import Claim, QueueConsumer
from service.queue.keys import STRUCTURAL, Shard, new_job_id
from service.settings import Settings

MODEL = "moebius-nano"
ALICE = "alice"
RESULT = Result(
    pictures=(b"\x89PNG one", b"\x89PNG two"),
    content_type="image/png",
    seeds=(7, 8),
    model=MODEL,
    boxes=(Box(0, 8, 256, 264),),
    stages={"queue": 0.25, "denoise": 1.5},
    notes=("The palette became RGB.",),
)


def claimed(consumer: QueueConsumer, places: int = 1, *models: str) -> list[Claim]:
    """What an idle worker is given for its free places."""
    return list(consumer.claim(models or [MODEL], places=places, idle=True).claims)


@pytest.fixture
def settings() -> Settings:
    return Settings(model=MODEL)


@pytest.fixture
def queue_url(url_of_each_kind: str) -> str:
    """The queue's own tests run on Valkey and on Redis."""
    return url_of_each_kind


@pytest.fixture
def server(queue_url: str) -> Iterator[redis.Redis]:
    """A plain connection, to look at keys and to do harm."""
    with redis.Redis.from_url(queue_url) as connection:
        yield connection


@pytest.fixture(autouse=True)
def every_key_has_a_lifetime(server: redis.Redis, settings: Settings) -> Iterator[None]:
    yield
    shards = map(Shard, range(settings.queue_shards))
    structural = [shard.key(name) for shard in shards for name in STRUCTURAL]
    for raw in server.scan_iter():
        key = raw.decode()
        if not any(fnmatchcase(key, pattern) for pattern in structural):
            assert server.pttl(key) > 0, f"{key} has no lifetime"


@pytest.fixture
async def client(queue_url: str, settings: Settings) -> AsyncIterator[QueueClient]:
    client = QueueClient(queue_url, settings)
    yield client
    await client.aclose()


@pytest.fixture
def new_consumer(queue_url: str, settings: Settings) -> Iterator[Callable[..., QueueConsumer]]:
    """Makes workers' ends; the second and later ones with a name of their own."""
    made: list[QueueConsumer] = []

    def make(
        name: str = "worker-1", throughput: float = 0.0, step_seconds: float = 0.0, **overrides: float
    ) -> QueueConsumer:
        model = ServedModel(MODEL, 256, "dummy", "cpu", "fp32", "0" * 64)
        changed = settings.model_copy(update=overrides)
        registration = WorkerRegistration(
            name, (model,), places=8, throughput=throughput, step_seconds=step_seconds
        )
        made.append(QueueConsumer(queue_url, changed, registration))
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()


@pytest.fixture
def consumer(new_consumer: Callable[..., QueueConsumer]) -> QueueConsumer:
    return new_consumer()


@pytest.fixture
async def new_job(client: QueueClient) -> Callable[..., Job]:
    """Makes jobs that are due in a minute of the queue's clock."""
    now = await client.now()

    def make(owner: str = ALICE, *, timeout: float = 60.0, priority: Priority = Priority.INTERACTIVE) -> Job:
        params = Params(model=MODEL, seed=7, steps=20, guidance_scale=2.0, priority=priority)
        return Job(new_job_id(), owner, params, b"image bytes", b"mask bytes", now + timeout)

    return make
