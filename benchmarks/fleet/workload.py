"""What comes to a simulated fleet: Poisson arrivals, with bursts, of pictures that differ in crops and priority."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from service.contracts import Priority


@dataclass(frozen=True, slots=True)
class Request:
    """One picture, `at` seconds after the start: its crops, and denoising steps of each."""

    number: int
    at: float
    crops: int
    steps: int
    priority: Priority
    client: str


@dataclass(frozen=True, slots=True)
class Mix:
    """What requests ask for: numbers of crops and of steps with their shares, clients that are drawn alike."""

    crops: tuple[tuple[int, float], ...] = ((1, 1.0),)
    steps: tuple[tuple[int, float], ...] = ((20, 1.0),)
    batch_share: float = 0.0
    clients: int = 1

    @property
    def mean_crops(self) -> float:
        """Of a request."""
        return sum(crops * share for crops, share in self.crops)

    @property
    def mean_steps(self) -> float:
        """Of a crop."""
        return sum(steps * share for steps, share in self.steps)


@dataclass(frozen=True, slots=True)
class Bursts:
    """Times of more than the mean rate, of `seconds` on average, that take `share` of all time; both kinds of times
    are exponential (a Markov-modulated Poisson process). `factor` is their rate as a multiple of the mean.
    """

    factor: float = 1.0
    share: float = 0.1
    seconds: float = 5.0

    @property
    def calm_factor(self) -> float:
        """The rate between bursts as a multiple of the mean. ValueError where bursts alone exceed the mean."""
        factor = (1 - self.factor * self.share) / (1 - self.share)
        if factor < 0:
            raise ValueError(
                f"bursts of {self.factor:g} times the mean can't take {self.share:.0%} of the time"
            )
        return factor


STEADY = Bursts()


def draw_requests(
    rate: float, seconds: float, mix: Mix, *, seed: int, bursts: Bursts = STEADY
) -> tuple[Request, ...]:
    """Requests of `rate` a second on average within `seconds`; the same seed draws the same ones."""
    generator = np.random.default_rng(seed)
    times = np.array(
        [
            at
            for start, end, factor in _spans(generator, seconds, bursts)
            for at in _poisson(generator, rate * factor, start, end)
        ]
    )
    count = len(times)
    crops = _drawn(generator, mix.crops, count)
    steps = _drawn(generator, mix.steps, count)
    is_batch = generator.random(count) < mix.batch_share
    clients = generator.integers(mix.clients, size=count)
    return tuple(
        Request(
            number,
            float(times[number]),
            int(crops[number]),
            int(steps[number]),
            Priority.BATCH if is_batch[number] else Priority.INTERACTIVE,
            f"client-{clients[number]}",
        )
        for number in range(count)
    )


def _spans(
    generator: np.random.Generator, seconds: float, bursts: Bursts
) -> Iterator[tuple[float, float, float]]:
    """Start, end and rate factor of calm and busy times, in turn."""
    if bursts.factor == 1.0:
        yield 0.0, seconds, 1.0
        return
    calm_seconds = bursts.seconds * (1 - bursts.share) / bursts.share
    now, busy = 0.0, False
    while now < seconds:
        length = generator.exponential(bursts.seconds if busy else calm_seconds)
        yield now, min(now + length, seconds), bursts.factor if busy else bursts.calm_factor
        now, busy = now + length, not busy


def _poisson(generator: np.random.Generator, rate: float, start: float, end: float) -> list[float]:
    count = generator.poisson(rate * (end - start))
    return sorted(float(at) for at in generator.uniform(start, end, count))


def _drawn(
    generator: np.random.Generator, shares: tuple[tuple[int, float], ...], count: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    values, weights = zip(*shares, strict=True)
    drawn: np.ndarray[tuple[int], np.dtype[np.int64]] = generator.choice(values, size=count, p=weights)
    return drawn
