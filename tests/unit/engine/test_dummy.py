"""The engine without a model as a stand-in for a device: what its steps cost, on a clock of the test's."""

from __future__ import annotations

import numpy as np
import pytest

from service.denoising import LatentBatch, StepRows
from service.engine import dummy
from service.engine.base import StepCoefficients, Tile
from service.engine.dummy import DummyEngine
from service.settings import Settings

SIZE = 64


class Clock:
    """Stands still, except while somebody sleeps or `advance` is called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(dummy, "time", clock)
    return clock


def step(engine: DummyEngine, guidances: list[float]) -> None:
    tile = Tile(np.zeros((3, SIZE, SIZE), np.float32), np.ones((SIZE, SIZE), np.float32))
    encoded = engine.encode([tile], with_image=False)[0]
    noise = np.zeros(engine.latent_shape, np.float32)
    states = [engine.begin(encoded, noise, 0.0, 1.0) for _ in guidances]
    engine.step(states, [StepCoefficients(10, 1.0, 0.0, guidance) for guidance in guidances])


def test_a_step_takes_its_own_time_and_that_of_each_item(clock: Clock) -> None:
    engine = DummyEngine(Settings(dummy_step_seconds=1.0, dummy_item_seconds=0.25), image_size=SIZE)
    step(engine, [1.0] * 4)
    assert clock.slept == 2.0


def test_guidance_makes_no_step_longer(clock: Clock) -> None:
    engine = DummyEngine(Settings(dummy_step_seconds=1.0, dummy_item_seconds=0.25), image_size=SIZE)
    step(engine, [2.0] * 4)
    assert clock.slept == 2.0


def test_the_dummys_own_work_counts(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = DummyEngine(Settings(dummy_step_seconds=1.0), image_size=SIZE)
    advance = engine.advance

    def slow_advance(on_device: LatentBatch, rows: StepRows) -> LatentBatch:
        clock.now += 0.75
        return advance(on_device, rows)

    monkeypatch.setattr(engine, "advance", slow_advance)
    step(engine, [1.0])
    assert clock.slept == 0.25


def test_it_takes_no_time_unless_told_to(clock: Clock) -> None:
    step(DummyEngine(Settings(), image_size=SIZE), [2.0])
    assert clock.slept == 0


def test_it_tells_nothing_of_memory() -> None:
    assert DummyEngine(Settings(), image_size=SIZE).memory_bytes() == {}
