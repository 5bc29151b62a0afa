"""What a step costs on this device, as measured at the worker's start, and what follows from it: how many items
a step should hold, and what the worker tells the queue of its throughput. live_profile.py keeps it true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from time import perf_counter
from typing import Any

import numpy as np

from service.contracts import DEFAULT_STEPS
from service.engine.base import DeviceOutOfMemory, Engine, StepCoefficients, Tile
from service.engine.sampler import initial_noise

GOOD_ENOUGH = 0.95  # of the best throughput: above it a larger batch only makes each step slower
TURN_SECONDS = 0.002  # of the loop's own work around a step, roughly: very short steps are worth batching
GAIN = 1.05  # of throughput, for which a larger batch is tried
LONG = 0.5  # seconds: joins, cancels and deadlines wait for a step's end, so a long one must bring more
GAIN_OF_A_LONG_STEP = 1.25
# Few: readiness waits for it, and the steps that really run correct it.
FEWEST_CALLS, MOST_CALLS = 2, 10
ENOUGH = 0.04  # seconds of calls together

Clock = Callable[[], float]


@dataclass(frozen=True)
class BatchProfile:
    """Seconds of a step by batch size, and of encoding and decoding one crop. A typical picture takes `steps`;
    they are guided, unless the model's guidance is `distilled` and a step is one evaluation. `sizes` are the batch
    sizes that the device has memory for, the measured ones where none are named; `chosen` is the cap, where it is
    not left to what was measured.
    """

    step_seconds: dict[int, float]
    encode_seconds: float
    decode_seconds: float
    steps: int = DEFAULT_STEPS
    distilled: bool = False
    sizes: tuple[int, ...] = ()
    chosen: int | None = None

    def expected_step(self, batch: int) -> float:
        """Seconds of a step: measured, between two measured sizes, or beyond them, on a straight line."""
        sizes = sorted(self.step_seconds)
        if len(sizes) == 1:
            return self.step_seconds[sizes[0]] * max(1.0, batch / sizes[0])
        upper = next((index for index in range(1, len(sizes)) if batch <= sizes[index]), len(sizes) - 1)
        low, high = sizes[upper - 1], sizes[upper]
        start, end = self.step_seconds[low], self.step_seconds[high]
        line = start + (end - start) * (batch - low) / (high - low)
        return line if low <= batch <= high else max(line, min(start, end))

    @cached_property  # asked for at every step
    def cap(self) -> int:
        """The smallest measured batch that reaches 95 % of the best throughput, unless one was chosen.

        Where steps grow with the batch, a small one lets earlier jobs end earlier; where they don't, the
        largest is the best.
        """
        if self.chosen is not None:
            return self.chosen
        throughputs = {batch: items_a_second(batch, seconds) for batch, seconds in self.step_seconds.items()}
        wanted = GOOD_ENOUGH * max(throughputs.values())
        return min(batch for batch, throughput in throughputs.items() if throughput >= wanted)

    @property
    def evaluation_seconds(self) -> float:
        """One item's share of a full step's seconds, for one evaluation of the network: the unit of costs."""
        evaluations = 1 if self.distilled else 2
        return self.expected_step(self.cap) / (self.cap * evaluations)

    @property
    def vae_cost(self) -> float:
        """What encoding and decoding one crop costs, in evaluations."""
        return (self.encode_seconds + self.decode_seconds) / self.evaluation_seconds

    @property
    def throughput(self) -> float:
        """Evaluations a second. With `vae_cost` in a job's cost (fairness.cost_of), it says what the job takes."""
        return 1 / self.evaluation_seconds

    def prepare_steps(self, seconds: float) -> int:
        """Steps of a full batch that pass within `seconds`, rounded up."""
        return ceil(seconds / self.expected_step(self.cap))


def measure(engine: Engine, *, clock: Clock = perf_counter) -> BatchProfile:
    """Time an engine that is warm: its batch sizes upwards, until a doubling brings no more throughput.

    A size that the device has no memory for ends it too; `DeviceOutOfMemory` if that is the smallest.
    """
    size = engine.info.image_size
    tile = Tile(np.zeros((3, size, size), np.float32), np.ones((size, size), np.float32))
    encode_seconds, encoded = _fastest(lambda: engine.encode([tile], with_image=False)[0], clock)
    state = engine.begin(encoded, initial_noise(0, 0, engine.latent_shape), 0.0, 1.0)
    decode_seconds, _ = _fastest(lambda: engine.decode([state]), clock)
    step_seconds, sizes = _step_seconds(engine, encoded, clock)
    return BatchProfile(
        step_seconds,
        encode_seconds,
        decode_seconds,
        steps=engine.info.default_steps,
        distilled=engine.info.is_distilled,
        sizes=sizes,
    )


def _step_seconds(engine: Engine, encoded: Any, clock: Clock) -> tuple[dict[int, float], tuple[int, ...]]:
    """By batch size, and the sizes that there seems to be memory for, tried or not."""
    measured: dict[int, float] = {}
    sizes = _doubling(engine.limits.batch_sizes)
    for batch in sizes:
        if not _is_worth_a_try(batch, measured):
            break
        try:
            measured[batch] = _typical_step(engine, encoded, batch, clock)
        except DeviceOutOfMemory:
            if not measured:
                raise
            return measured, tuple(measured)
    return measured, tuple(sizes)


def _is_worth_a_try(batch: int, measured: dict[int, float]) -> bool:
    """Whether the last larger batch brought enough throughput to go on; a long step must have brought more."""
    if len(measured) < 2:
        return True
    *smaller, last = measured
    best = max(items_a_second(size, measured[size]) for size in smaller)
    gain = items_a_second(last, measured[last]) / best
    expected = measured[last] * batch / last
    return gain >= (GAIN_OF_A_LONG_STEP if expected > LONG else GAIN)


def items_a_second(batch: int, step_seconds: float) -> float:
    """Of steps of this size, the loop's own work included."""
    return batch / (step_seconds + TURN_SECONDS)


def _doubling(sizes: tuple[int, ...]) -> list[int]:
    """Of the sizes, ascending, those at least twice the one before; and the largest."""
    chosen = [sizes[0]]
    for size in sizes[1:]:
        if size >= 2 * chosen[-1] or size == sizes[-1]:
            chosen.append(size)
    return chosen


def _typical_step(engine: Engine, encoded: Any, batch: int, clock: Clock) -> float:
    states = [
        engine.begin(encoded, initial_noise(0, index, engine.latent_shape), 0.0, 1.0)
        for index in range(batch)
    ]
    guidance = 1.0 if engine.info.is_distilled else engine.info.guidance_scale
    row = StepCoefficients(timestep=500, a=1.0, b=0.0, guidance=guidance)
    seconds, _ = _fastest(lambda: engine.step(states, [row] * batch), clock)
    return seconds


def _fastest(call: Callable[[], Any], clock: Clock) -> tuple[float, Any]:
    """Seconds of the fastest of a few calls, more of them where they are short, and what the last one answered."""
    times: list[float] = []
    while len(times) < FEWEST_CALLS or (len(times) < MOST_CALLS and sum(times) < ENOUGH):
        started = clock()
        answer = call()
        times.append(clock() - started)
    return min(times), answer
