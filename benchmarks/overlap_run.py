"""One run of the overlap benchmark: a worker on an engine whose steps are noted, and the requests that it serves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from benchmarks.arrivals import Arrival
from benchmarks.load import Payload, serve_all
from benchmarks.pictures import gradient_and_hole
from benchmarks.processes import await_workers
from benchmarks.queue_servers import queue_server
from service.engine.base import Array, Engine
from service.engine.dummy import DummyEngine
from service.engine.selection import open_engine
from service.queue.consumer import QueueConsumer
from service.settings import Settings
from service.worker.loop import Worker
from service.worker.profile import BatchProfile, measure
from service.worker.registration import registration_of

Overlap = Literal["off", "on"]
OVERLAPS: tuple[Overlap, ...] = ("off", "on")
PICTURE_SIDE = 128
STEP_SECONDS, ENCODE_SECONDS, DECODE_SECONDS = 0.010, 0.015, 0.040
NEIGHBOUR_SEED = 1_000_000
SHARE = 0.8  # of the neighbour's time in a batch of two, in which newcomers come


@dataclass(frozen=True)
class Device:
    """An engine that is warm, and its profile."""

    name: str
    text: str
    settings: Settings
    engine: Engine
    profile: BatchProfile


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds between steps of the neighbour, and from each newcomer's arrival to its result; pictures a second."""

    gaps: list[float]
    latencies: list[float]
    throughput: float


class SimulatedVae(DummyEngine):
    """A device with room for two calls at once: its VAE takes the same time beside a step as alone."""

    def vae_encode(self, images: Array) -> Array:
        """In the simulated time."""
        time.sleep(ENCODE_SECONDS * len(images))
        return super().vae_encode(images)

    def vae_decode(self, latents: Array) -> Array:
        """In the simulated time."""
        time.sleep(DECODE_SECONDS * len(latents))
        return super().vae_decode(latents)


def simulated_device() -> Device:
    """A device that is not busy with one step at a time."""
    settings = Settings(backend="dummy", dummy_step_seconds=STEP_SECONDS)
    text = (
        f"simulated: a step of {STEP_SECONDS * 1000:g} ms whatever its batch, a crop encoded in "
        f"{ENCODE_SECONDS * 1000:g} ms and decoded in {DECODE_SECONDS * 1000:g} ms, beside a step as alone"
    )
    return _warm("simulated", text, settings, SimulatedVae(settings, image_size=64))


def real_device(model: str, backend: str, device: str) -> Device:
    """A model of the store."""
    settings = Settings.model_validate({"model": model, "backend": backend, "device": device})
    engine = open_engine(settings)
    info = engine.info
    return _warm(model, f"{model}: {info.backend}, {info.device}, {info.precision}", settings, engine)


def _warm(name: str, text: str, settings: Settings, engine: Engine) -> Device:
    engine.warmup()
    return Device(name, text, settings, engine, measure(engine))


def run(
    device: Device,
    overlap: Overlap,
    *,
    neighbour_steps: int,
    newcomers: int,
    newcomer_steps: int,
    backlog: int,
) -> Run:
    """A neighbour with newcomers, and then a backlog, on a worker with this setting."""
    settings = device.settings.model_copy(update={"overlap": overlap, "max_client_share": 1.0})
    payload = Payload(*gradient_and_hole(PICTURE_SIDE), guidance_scale=2.0)
    seconds = SHARE * neighbour_steps * device.profile.expected_step(2)
    newcoming = [
        Arrival(seconds * (index + 1) / newcomers, newcomer_steps, index) for index in range(newcomers)
    ]
    neighbour = Arrival(0.0, neighbour_steps, NEIGHBOUR_SEED)
    waiting = [Arrival(0.0, newcomer_steps, seed) for seed in range(backlog)]
    with queue_server() as url, worker_thread(url, settings, device) as steps_at:
        served = asyncio.run(serve_all(url, settings, payload, [neighbour, *newcoming]))
        gaps = [after - before for before, after in pairwise(steps_at[:neighbour_steps])]
        done = asyncio.run(serve_all(url, settings, payload, waiting))
    latencies = [one.latency for one in served if one.arrival.seed != NEIGHBOUR_SEED]
    return Run(gaps, latencies, len(done) / max(one.visible_at for one in done))


@contextmanager
def worker_thread(url: str, settings: Settings, device: Device) -> Iterator[list[float]]:
    """A worker in a thread; the list grows by the time of each step's end."""
    registration = registration_of(settings, device.engine, device.profile)
    consumer = QueueConsumer(url, settings, registration)
    worker = Worker(settings, consumer, device.engine, device.profile, _no_hang)
    thread = threading.Thread(target=worker.run)
    with _noted_steps(device.engine) as steps_at:
        thread.start()
        try:
            await_workers(url, 1)
            yield steps_at
        finally:
            worker.stop()
            thread.join()


@contextmanager
def _noted_steps(engine: Engine) -> Iterator[list[float]]:
    steps_at: list[float] = []
    step: Callable[..., None] = engine.step

    def noted(states: Sequence[Any], coefficients: Sequence[Any]) -> None:
        step(states, coefficients)
        steps_at.append(time.perf_counter())

    engine.step = noted  # type: ignore[method-assign]
    try:
        yield steps_at
    finally:
        engine.step = step  # type: ignore[method-assign]


def _no_hang() -> None:
    raise AssertionError("a device call of the benchmark hangs")
