"""How a request becomes items of a batch (seeds, table, first state), and the loop over one request alone.

An item is one crop of one candidate. No queue, no file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

from service.contracts import Params, Sampler
from service.engine.base import Array, Engine, EngineInfo, Tile
from service.engine.dpm_solver import dpm_solver_table, dpm_solver_timesteps
from service.engine.sampler import (
    NoisePlace,
    PredictionType,
    SamplingTable,
    ddim_table,
    ddim_timesteps,
    initial_noise,
    shared_noise,
)
from service.sampling import resolve_sampling

# Of a full run's steps: a second pass keeps what is where, and adds detail. With half of them it adds specks as well.
REFINED_SHARE = 0.25

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


def sampling_table(info: EngineInfo, params: Params) -> SamplingTable:
    """The request's coefficients for this model; its own numbers stand in for those that the request leaves out.

    `InvalidParameter` where no step would be left, and for steps, guidance or a sampler that a few-step model doesn't
    have.
    """
    prediction_type = cast("PredictionType", info.prediction_type)
    resolved = resolve_sampling(params, info, info.model)
    if info.sampling is not None:  # its prediction is guided already: one evaluation a step
        return ddim_table(info.sampling.timesteps, params.strength, 1.0, prediction_type=prediction_type)
    steps, guidance = cast(int, resolved.steps), cast(float, resolved.guidance_scale)
    if params.sampler is Sampler.DDIM:
        return ddim_table(ddim_timesteps(steps), params.strength, guidance, prediction_type=prediction_type)
    timesteps = dpm_solver_timesteps(steps, params.strength)
    return dpm_solver_table(timesteps, params.strength, guidance, prediction_type=prediction_type)


def refinement_table(info: EngineInfo, params: Params) -> SamplingTable:
    """The run of a second pass, over tiles that show a first fill: the last steps of a full run, from the noised tile.

    The request's `strength` is that of the first pass. Raises what `sampling_table` raises.
    """
    full = sampling_table(info, params.model_copy(update={"strength": 1.0}))
    kept = max(1, int(len(full.rows) * REFINED_SHARE))
    timesteps = [row.timestep for row in full.rows[-kept:]]
    guidance = full.rows[0].guidance
    prediction_type = cast("PredictionType", info.prediction_type)
    make = ddim_table if params.sampler is Sampler.DDIM else dpm_solver_table
    rows = make(timesteps, 1.0, guidance, prediction_type=prediction_type).rows
    return SamplingTable.of(rows, REFINED_SHARE)


def reads_image(table: SamplingTable) -> bool:
    """Whether a run starts from the photo, so that the whole crop must be encoded too."""
    return table.image_scale != 0


def begin_item(
    engine: Engine,
    encoded: Any,
    table: SamplingTable,
    *,
    seed: int,
    crop: int,
    place: NoisePlace | None = None,
) -> Any:
    """The first state of one crop of the candidate with `seed`.

    Noise is keyed by (seed, crop), so neither the number of candidates nor the batch changes a picture; a tile with a
    `place` takes it from the field that it shares.
    """
    shape = engine.latent_shape
    noise = initial_noise(seed, crop, shape) if place is None else shared_noise(seed, place, shape)
    return engine.begin(encoded, noise, table.image_scale, table.noise_scale)


def run(
    engine: Engine,
    tiles: Sequence[tuple[Array, Array]],
    params: Params,
    *,
    table: SamplingTable | None = None,
    places: Sequence[NoisePlace] | None = None,
    on_step: StepCallback | None = None,
) -> Inpainting:
    """Fill every tile (image [3, s, s] in [-1, 1], mask [s, s] with 1 = fill) once a candidate, by the request's table
    or the one given, from noise of its own or at its place.

    `on_step(done, total, seconds)` is called after each step.
    """
    seeds = candidate_seeds(params)
    table = sampling_table(engine.info, params) if table is None else table
    at = [None] * len(tiles) if places is None else places
    started = perf_counter()
    encoded = engine.encode([Tile(image, mask) for image, mask in tiles], with_image=reads_image(table))
    encoded_at = perf_counter()
    states = [
        begin_item(engine, tile, table, seed=seed, crop=crop, place=place)
        for seed in seeds
        for crop, (tile, place) in enumerate(zip(encoded, at, strict=True))
    ]
    _denoise(engine, states, table, on_step)
    denoised_at = perf_counter()
    pictures = engine.decode(states)  # [n * crops, 3, s, s]
    stages = {
        "vae_encode": encoded_at - started,
        "denoise": denoised_at - encoded_at,
        "vae_decode": perf_counter() - denoised_at,
    }
    return Inpainting(pictures.reshape(len(seeds), len(tiles), *pictures.shape[1:]), seeds, stages)


def _denoise(
    engine: Engine, states: Sequence[Any], table: SamplingTable, on_step: StepCallback | None
) -> None:
    for done, row in enumerate(table.rows, start=1):
        started = perf_counter()
        engine.step(states, [row] * len(states))
        if on_step is not None:
            on_step(done, len(table.rows), perf_counter() - started)
