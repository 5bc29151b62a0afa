"""A picture depends on its own request only: a seed gives the same fill alone and in any batch of 1 to 8.

The dummy engine is bit-exact, the networks are held to 1/255 of the pixel range in fp32: a matrix product may
sum in another order when the batch has another size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.contracts import Params, Sampler
from service.engine.base import Array, Engine, Tile
from service.engine.dpm_solver import dpm_solver_table, dpm_solver_timesteps
from service.engine.dummy import DummyEngine
from service.engine.inpaint import run
from service.engine.sampler import PredictionType, SamplingTable, ddim_table, ddim_timesteps, initial_noise
from service.engine.selection import open_engine
from service.settings import Settings
from tests.parity.tiny_engine import TinyEngine

ONE_GREY_LEVEL = 2 / 255  # pictures are in [-1, 1]
STEPS_OF_NEIGHBOURS = (5, 3, 7, 4, 6, 2, 8)

Request = tuple[Tile, int, SamplingTable]


def open_dummy(_: pytest.FixtureRequest) -> Engine:
    return DummyEngine(Settings(), image_size=64)


def open_tiny(_: pytest.FixtureRequest) -> Engine:
    return TinyEngine()


def open_small(request: pytest.FixtureRequest) -> Engine:
    folder: Path = request.getfixturevalue("small_model")
    settings = Settings(backend="onnxruntime", device="cpu", model_store=folder.parent, model=folder.name)
    return open_engine(settings)


def open_built_in(_: pytest.FixtureRequest) -> Engine:
    return open_engine(Settings(backend="onnxruntime", device="cpu"))


@pytest.fixture(scope="module", params=[open_dummy, open_tiny, open_small, open_built_in])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    opened: Engine = request.param(request)
    yield opened
    opened.close()


def make_tile(engine: Engine, seed: int) -> Tile:
    size = engine.info.image_size
    generator = np.random.default_rng(seed)
    colours = generator.uniform(-1, 1, (3, 1, 1)).astype(np.float32)
    image = np.clip(colours + generator.normal(0, 0.2, (3, size, size)), -1, 1).astype(np.float32)
    mask = np.zeros((size, size), np.float32)
    top, left = generator.integers(0, size // 2, 2)
    mask[top : top + size // 3, left : left + size // 3] = 1
    return Tile(image, mask)


def make_request(
    engine: Engine, seed: int, steps: int, guidance: float = 2.0, sampler: Sampler = Sampler.DDIM
) -> Request:
    prediction_type: PredictionType = (
        "v_prediction" if engine.info.prediction_type == "v_prediction" else "epsilon"
    )
    if sampler is Sampler.DDIM:
        table = ddim_table(ddim_timesteps(steps), 1.0, guidance, prediction_type=prediction_type)
    else:
        timesteps = dpm_solver_timesteps(steps, 1.0)
        table = dpm_solver_table(timesteps, 1.0, guidance, prediction_type=prediction_type)
    return make_tile(engine, seed), seed, table


def begin_all(engine: Engine, requests: list[Request]) -> list[Any]:
    encoded = engine.encode([tile for tile, _, _ in requests], with_image=False)
    return [
        engine.begin(tile, initial_noise(seed, 0, engine.latent_shape), table.image_scale, table.noise_scale)
        for tile, (_, seed, table) in zip(encoded, requests, strict=True)
    ]


def run_together(engine: Engine, requests: list[Request]) -> list[Array]:
    """Each picture [3, s, s]; a request leaves the batch when its own steps are done."""
    states = begin_all(engine, requests)
    for number in range(max(len(table.rows) for _, _, table in requests)):
        running = [
            (state, table.rows[number])
            for state, (_, _, table) in zip(states, requests, strict=True)
            if number < len(table.rows)
        ]
        engine.step([state for state, _ in running], [row for _, row in running])
    return list(engine.decode(states))


def assert_same(engine: Engine, actual: Array, expected: Array) -> None:
    if engine.info.backend == "dummy":
        assert np.array_equal(actual, expected)
    else:
        assert np.abs(actual - expected).max() <= ONE_GREY_LEVEL


@pytest.fixture(scope="module")
def alone(engine: Engine) -> Array:
    return run_together(engine, [make_request(engine, seed=11, steps=4)])[0]


@pytest.mark.parametrize("batch", [2, 3, 4, 5, 6, 7, 8])
def test_neighbours_with_other_step_counts_change_nothing(engine: Engine, alone: Array, batch: int) -> None:
    neighbours = [
        make_request(engine, seed=100 + index, steps=STEPS_OF_NEIGHBOURS[index]) for index in range(batch - 1)
    ]
    place = batch // 2
    own = make_request(engine, seed=11, steps=4)
    pictures = run_together(engine, [*neighbours[:place], own, *neighbours[place:]])
    assert_same(engine, pictures[place], alone)


def test_a_neighbour_without_guidance_changes_nothing(engine: Engine, alone: Array) -> None:
    unguided = make_request(engine, seed=5, steps=4, guidance=1.0)
    pictures = run_together(engine, [unguided, make_request(engine, seed=11, steps=4)])
    assert_same(engine, pictures[1], alone)
    assert_same(engine, pictures[0], run_together(engine, [unguided])[0])


def second_order(engine: Engine) -> Request:
    return make_request(engine, seed=13, steps=5, sampler=Sampler.DPM_SOLVER_PLUS_PLUS)


@pytest.fixture(scope="module")
def second_order_alone(engine: Engine) -> Array:
    return run_together(engine, [second_order(engine)])[0]


def test_neighbours_with_another_sampler_change_nothing(
    engine: Engine, alone: Array, second_order_alone: Array
) -> None:
    requests = [
        make_request(engine, seed=5, steps=3, guidance=1.0, sampler=Sampler.DPM_SOLVER_PLUS_PLUS),
        make_request(engine, seed=11, steps=4),
        second_order(engine),
        make_request(engine, seed=6, steps=2),
    ]
    pictures = run_together(engine, requests)
    assert_same(engine, pictures[1], alone)
    assert_same(engine, pictures[2], second_order_alone)


def test_a_second_order_run_that_joins_late_and_is_parked_ends_in_the_same_picture(
    engine: Engine, second_order_alone: Array
) -> None:
    own, neighbour = second_order(engine), make_request(engine, seed=7, steps=8)
    state, other = begin_all(engine, [own, neighbour])
    rows, others = own[2].rows, neighbour[2].rows
    engine.step([other], others[:1])
    for number in (0, 1):
        engine.step([other, state], [others[number + 1], rows[number]])
    engine.step([other], others[3:4])  # parked
    engine.step([state, other], [rows[2], others[4]])
    for row in rows[3:]:
        engine.step([state], [row])
    assert_same(engine, engine.decode([state])[0], second_order_alone)


def encode_whole(engine: Engine, tiles: list[Tile]) -> list[Any]:
    """States that hold the latents of the whole crops, without noise."""
    noise = np.zeros(engine.latent_shape, np.float32)
    return [engine.begin(encoded, noise, 1.0, 0.0) for encoded in engine.encode(tiles, with_image=True)]


@pytest.mark.parametrize("batch", [2, 8])
def test_a_crop_is_encoded_and_decoded_alike_in_every_batch(engine: Engine, batch: int) -> None:
    tiles = [make_tile(engine, 200 + index) for index in range(batch)]
    together = encode_whole(engine, tiles)
    decoded_alone = engine.decode(together[-1:])[0]
    assert_same(engine, decoded_alone, engine.decode(encode_whole(engine, tiles[-1:]))[0])
    assert_same(engine, engine.decode(together)[-1], decoded_alone)


def test_another_seed_gives_another_picture(engine: Engine, alone: Array) -> None:
    tile, _, table = make_request(engine, seed=11, steps=4)
    other = run_together(engine, [(tile, 12, table)])[0]
    assert np.abs(other - alone).max() > ONE_GREY_LEVEL


def test_a_candidate_is_the_picture_of_its_own_seed(engine: Engine) -> None:
    tile = make_tile(engine, 11)
    three = run(engine, [(tile.image, tile.mask)], Params(seed=20, n=3, steps=2))
    assert three.seeds == (20, 21, 22)
    for candidate, seed in enumerate(three.seeds):
        single = run(engine, [(tile.image, tile.mask)], Params(seed=seed, steps=2))
        assert_same(engine, three.fills[candidate], single.fills[0])
