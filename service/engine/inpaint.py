"""The in-process loop over one request: candidates x crops, all stepping together; no queue, no file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

from service.contracts import Params
from service.engine.base import Array, Engine, Tile
from service.engine.sampler import PredictionType, SamplingTable, ddim_table, initial_noise
from service.errors import JobCancelled

StepCallback = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True)
class Inpainting:
    """Fills [n, crops, 3, s, s] in [-1, 1], the seed of each candidate, and the seconds of each stage."""

    fills: Array
    seeds: tuple[int, ...]
    stages: dict[str, float]


def candidate_seeds(params: Params) -> tuple[int, ...]:
    """Seeds of the candidates: seed, seed + 1, ... `ValueError` if None."""
    if params.seed is None:
        raise ValueError("the seed must be drawn before sampling")
    return tuple(params.seed + index for index in range(params.n))


def run(
    engine: Engine,
    tiles: Sequence[tuple[Array, Array]],
    params: Params,
    *,
    on_step: StepCallback | None = None,
    stop: Callable[[], bool] | None = None,
) -> Inpainting:
    """Fill every tile (image [3, s, s] in [-1, 1], mask [s, s] with 1 = fill) once a candidate.

    `on_step(done, total, seconds)` is called after each step; `stop()` is asked before each one, and
    `JobCancelled` raised when it says so. Noise is keyed by (candidate's seed, crop), so neither n nor the
    batch changes a picture.
    """
    seeds = candidate_seeds(params)
    prediction_type = cast("PredictionType", engine.info.prediction_type)
    table = ddim_table(params.steps, params.strength, params.guidance_scale, prediction_type=prediction_type)
    started = perf_counter()
    encoded = engine.encode([Tile(image, mask) for image, mask in tiles], with_image=table.image_scale != 0)
    encoded_at = perf_counter()
    states = _start(engine, encoded, seeds, table)
    _denoise(engine, states, table, on_step, stop)
    denoised_at = perf_counter()
    pictures = engine.decode(states)  # [n * crops, 3, s, s]
    stages = {
        "vae_encode": encoded_at - started,
        "denoise": denoised_at - encoded_at,
        "vae_decode": perf_counter() - denoised_at,
    }
    return Inpainting(pictures.reshape(len(seeds), len(tiles), *pictures.shape[1:]), seeds, stages)


def _start(engine: Engine, encoded: Sequence[Any], seeds: Sequence[int], table: SamplingTable) -> list[Any]:
    """States, candidates outermost: one VAE encode serves all of them."""
    return [
        engine.begin(
            tile, initial_noise(seed, crop, engine.latent_shape), table.image_scale, table.noise_scale
        )
        for seed in seeds
        for crop, tile in enumerate(encoded)
    ]


def _denoise(
    engine: Engine,
    states: Sequence[Any],
    table: SamplingTable,
    on_step: StepCallback | None,
    stop: Callable[[], bool] | None,
) -> None:
    for done, row in enumerate(table.rows, start=1):
        if stop is not None and stop():
            raise JobCancelled(f"Stopped before step {done} of {len(table.rows)}.")
        started = perf_counter()
        engine.step(states, [row] * len(states))
        if on_step is not None:
            on_step(done, len(table.rows), perf_counter() - started)
