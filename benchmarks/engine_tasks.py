"""The tasks that benchmarks time on an engine: a guided step, encoding, decoding, and a whole picture.

Queue and picture code are left out. A call returns when the device has finished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from service.contracts import Params
from service.engine.base import Array, Engine, StepCoefficients, Tile
from service.engine.inpaint import run
from service.engine.sampler import PredictionType, ddim_table, ddim_timesteps, initial_noise

GUIDANCE = 2.0
Task = Callable[[], object]


def crop(side: int) -> tuple[Array, Array]:
    """A picture of noise [3, s, s] and a square hole [s, s] in its middle: what is shown does not change the time."""
    image = np.random.default_rng(0).uniform(-1, 1, (3, side, side)).astype(np.float32)
    mask = np.zeros((side, side), np.float32)
    mask[side // 4 : -side // 4, side // 4 : -side // 4] = 1
    return image, mask


def tiles(engine: Engine, count: int) -> list[Tile]:
    """The same crop, `count` times."""
    return [Tile(*crop(engine.info.image_size))] * count


def steady_row() -> StepCoefficients:
    """A guided step that costs what any costs and leaves the latents as they are, however often it is taken."""
    row = ddim_table(ddim_timesteps(2), 1.0, GUIDANCE, prediction_type="epsilon").rows[0]
    return replace(row, a=1.0, b=0.0)


def guided_step(engine: Engine, count: int = 1) -> Task:
    """One denoising step of `count` crops in one batch, both branches of guidance, and the update."""
    states = fresh_states(engine, count)
    rows = [steady_row()] * count

    def step() -> None:
        engine.step(states, rows)
        await_device(engine)

    return step


def encoding(engine: Engine, count: int = 1) -> Task:
    """The crops with their holes masked, to latents: all that strength 1 needs."""
    batch = tiles(engine, count)

    def encode() -> None:
        engine.encode(batch, with_image=False)
        await_device(engine)

    return encode


def decoding(engine: Engine, count: int = 1) -> Task:
    """Latents to `count` pictures."""
    states = fresh_states(engine, count)
    return lambda: engine.decode(states)


def whole_picture(engine: Engine, steps: int) -> Task:
    """Encode, all steps and decode of one crop."""
    tile = crop(engine.info.image_size)
    params = Params(seed=0, steps=steps, guidance_scale=GUIDANCE)
    return lambda: run(engine, [tile], params)


def picture_after(engine: Engine, steps: int, taken: int) -> Array:
    """A picture [1, 3, s, s] in [-1, 1], decoded after the first `taken` of so many guided steps."""
    (encoded,) = engine.encode(tiles(engine, 1), with_image=False)
    state = engine.begin(encoded, initial_noise(0, 0, engine.latent_shape), 0.0, 1.0)
    prediction_type = cast("PredictionType", engine.info.prediction_type)
    table = ddim_table(ddim_timesteps(steps), 1.0, GUIDANCE, prediction_type=prediction_type)
    for row in table.rows[:taken]:
        engine.step([state], [row])
    return engine.decode([state])


def fresh_states(engine: Engine, count: int) -> Sequence[object]:
    """States at their first step, each with noise of its own."""
    encoded = engine.encode(tiles(engine, 1), with_image=False)[0]
    return [
        engine.begin(encoded, initial_noise(0, index, engine.latent_shape), 0.0, 1.0)
        for index in range(count)
    ]


def await_device(engine: Engine) -> None:
    """Wait until a GPU has finished what the engine gave it; a CPU has, when the call returns."""
    if engine.info.device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(engine.info.device)
