"""When requests come and what they ask for: drawn from a seed, so that every contender meets the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that comes `at` seconds after the start, whatever became of those before it."""

    at: float
    steps: int
    seed: int


def poisson_arrivals(rate: float, seconds: float, *, steps: Sequence[int], seed: int) -> tuple[Arrival, ...]:
    """Arrivals of a Poisson process of `rate` a second within `seconds`; each draws one of `steps`."""
    generator = np.random.default_rng(seed)
    arrivals: list[Arrival] = []
    at = generator.exponential(1 / rate)
    while at < seconds:
        arrivals.append(Arrival(at, int(generator.choice(list(steps))), seed=len(arrivals)))
        at += generator.exponential(1 / rate)
    return tuple(arrivals)
