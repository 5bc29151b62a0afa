"""Company is mixed as it says, and a neighbour that leaks into a picture is seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.independence import NEIGHBOURS, TARGETS, picture, rows_of
from service.contracts import Params
from service.engine.base import Array, StepCoefficients
from service.engine.dummy import DummyEngine
from service.engine.latent_engine import LatentState
from service.settings import Settings


class CountingEngine(DummyEngine):
    """Notes how many were in each step."""

    def __init__(self) -> None:
        super().__init__(Settings(max_batch=8), image_size=64)
        self.batches: list[int] = []

    def step(self, states: Sequence[LatentState], coefficients: Sequence[StepCoefficients]) -> None:
        self.batches.append(len(states))
        super().step(states, coefficients)


class LeakingEngine(DummyEngine):
    """A little of each picture is in the next."""

    def vae_decode(self, latents: Array) -> Array:
        leaked = latents + np.float32(0.1) * np.roll(latents, 1, axis=0)
        return super().vae_decode(leaked)


TARGET = TARGETS["guided, from noise"]


def test_neighbours_that_begin_later_join_on_the_way() -> None:
    engine = CountingEngine()
    picture(engine, TARGET, NEIGHBOURS[:3], begins=2)
    assert engine.batches[:3] == [1, 1, 4]


def test_a_target_that_begins_later_joins_a_running_batch() -> None:
    engine = CountingEngine()
    picture(engine, TARGET, NEIGHBOURS[:3], begins=-2)
    assert engine.batches[:3] == [3, 3, 4]


def test_neighbours_leave_when_their_own_steps_are_done() -> None:
    engine = CountingEngine()
    picture(engine, Params(seed=11, steps=6), NEIGHBOURS[:2], begins=0)
    assert engine.batches == [3, 3, 3, 3, 2, 2]


def test_an_engine_without_leaks_differs_by_nothing_and_one_with_leaks_by_more() -> None:
    clean = rows_of(DummyEngine(Settings(max_batch=4), image_size=64), "clean", 4)
    assert {row.rounded for row in clean} == {0}
    leaking = rows_of(LeakingEngine(Settings(max_batch=4), image_size=64), "leaking", 4)
    assert all(row.most > 0.1 for row in leaking)
