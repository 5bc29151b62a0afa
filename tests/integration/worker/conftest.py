"""A real queue with an edge's end, and workers in threads, on an engine that tests can hold still."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest

from service.contracts import Job, Params, Result
from service.engine.base import Array, StepCoefficients, Tile
from service.engine.dummy import DummyEngine
from service.engine.latent_engine import EncodedTile, LatentState
from service.errors import InpaintError
from service.queue.client import QueueClient
from service.queue.consumer import Claim, QueueConsumer
from service.queue.keys import new_job_id
from service.settings import Settings
from service.worker.loop import Worker
from service.worker.process import registration_of
from service.worker.profile import BatchProfile
from tests.integration.edge.pictures import MASK, PHOTO

CLIENT = "alice"
PATIENCE = 60.0  # seconds; a bound for broken code, never waited for
PROFILE = BatchProfile(dict.fromkeys((1, 2, 4, 8), 0.001), encode_seconds=0.001, decode_seconds=0.001)


class GatedEngine(DummyEngine):
    """The dummy, whose steps wait at a gate while it is shut, and whose calls go through `faults` if there are
    some: functions by the call's name (encode, step, decode), called with its items before it runs.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, image_size=64)
        self.gate = threading.Event()
        self.gate.set()
        self.stepping = threading.Event()
        self.batches: list[int] = []
        self.faults: dict[str, Callable[[Sequence[Any]], None]] = {}

    @property
    def steps(self) -> int:
        """Steps that have begun."""
        return len(self.batches)

    def encode(self, tiles: Sequence[Tile], *, with_image: bool) -> list[EncodedTile]:
        self._meet_faults("encode", tiles)
        return super().encode(tiles, with_image=with_image)

    def step(self, states: Sequence[LatentState], coefficients: Sequence[StepCoefficients]) -> None:
        self.batches.append(len(states))
        self.stepping.set()
        assert self.gate.wait(PATIENCE)
        self._meet_faults("step", states)
        super().step(states, coefficients)

    def decode(self, states: Sequence[LatentState]) -> Array:
        self._meet_faults("decode", states)
        return super().decode(states)

    def _meet_faults(self, call: str, items: Sequence[Any]) -> None:
        if call in self.faults:
            self.faults[call](items)


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
    """A worker in a thread; `error` is what its life ended with, `hung` is set where it would end the process."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.engine = GatedEngine(settings)
        self.consumer = CountingConsumer(url, settings, registration_of(settings, self.engine, PROFILE))
        self.hung = threading.Event()
        self.worker = Worker(settings, self.consumer, self.engine, PROFILE, self.hung.set)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def held(self) -> tuple[str, ...]:
        """Ids of the jobs that it holds."""
        return self.worker.feeder.held

    def end(self, *, drain: bool) -> None:
        self.worker.stop(drain=drain)
        self.engine.gate.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:
            self.error = error


@pytest.fixture
def settings() -> Settings:
    return Settings(backend="dummy", renew_every=0.3, drain_timeout=PATIENCE)


@pytest.fixture
def start_worker(queue_url: str, settings: Settings) -> Iterator[Callable[..., RunningWorker]]:
    running: list[RunningWorker] = []

    def start(url: str = queue_url, **changes: object) -> RunningWorker:
        running.append(RunningWorker(url, settings.model_copy(update=changes)))
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
        checked = Params.model_validate({"model": settings.model, "seed": 7, "steps": 3, **params})
        return Job(new_job_id(), CLIENT, checked, image, mask, now + timeout, places=places or checked.n)

    return make
