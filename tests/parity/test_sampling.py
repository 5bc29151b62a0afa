"""The samplers against the published ones: whole guided loops on the tiny golden network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from service.denoising import LatentBatch, StepRows
from service.engine.base import StepCoefficients
from service.engine.dpm_solver import dpm_solver_table, dpm_solver_timesteps
from service.engine.latent_engine import EncodedTile, LatentState
from service.engine.sampler import SamplingTable, alphas_cumprod, ddim_table, ddim_timesteps
from tests.parity.tiny_engine import GOLDEN, TinyEngine
from tests.published_dpm_solver import Doubles, published_run

LOOPS = ("sampling_tiny_20", "sampling_tiny_7_full_strength")
TOLERANCE = 1e-5

Golden = dict[str, npt.NDArray[np.float32]]


def load(name: str) -> Golden:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays)


def golden_table(golden: Golden) -> SamplingTable:
    return ddim_table(
        ddim_timesteps(int(golden["steps"])),
        float(golden["strength"]),
        float(golden["guidance"]),
        prediction_type="epsilon",
    )


def start(engine: TinyEngine, golden: Golden, table: SamplingTable) -> list[LatentState]:
    conditions = zip(golden["mask"], golden["masked_latents"], golden["latents"], strict=True)
    return [
        engine.begin(EncodedTile(*arrays), noise, table.image_scale, table.noise_scale)
        for arrays, noise in zip(conditions, golden["noise"], strict=True)
    ]


def relative_error(actual: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


@pytest.fixture(scope="module")
def engine() -> TinyEngine:
    return TinyEngine()


@pytest.mark.parametrize("name", LOOPS)
def test_the_noise_schedule_is_the_published_one(name: str) -> None:
    assert np.allclose(alphas_cumprod(), load(name)["alphas_cumprod"], rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", LOOPS)
def test_the_timesteps_are_the_published_ones(name: str) -> None:
    golden = load(name)
    assert [row.timestep for row in golden_table(golden).rows] == golden["timesteps"].tolist()


@pytest.mark.parametrize("name", LOOPS)
def test_a_run_starts_where_the_published_one_does(name: str, engine: TinyEngine) -> None:
    golden = load(name)
    states = start(engine, golden, golden_table(golden))
    assert relative_error(np.stack([state.x for state in states]), golden["noisy_start"]) < 1e-6


@pytest.mark.parametrize("name", LOOPS)
def test_the_guided_loop_ends_where_the_published_one_does(name: str, engine: TinyEngine) -> None:
    golden = load(name)
    table = golden_table(golden)
    states = start(engine, golden, table)
    for row in table.rows:
        engine.step(states, [row] * len(states))
    assert relative_error(np.stack([state.x for state in states]), golden["result"]) < TOLERANCE


@pytest.mark.parametrize(("steps", "strength"), [(10, 1.0), (10, 0.6)])
def test_the_second_order_loop_ends_where_the_papers_algorithm_does(
    engine: TinyEngine, steps: int, strength: float
) -> None:
    golden = load("sampling_tiny_20")
    timesteps = dpm_solver_timesteps(steps, strength)
    table = dpm_solver_table(timesteps, strength, 2.0, prediction_type="epsilon")
    states = start(engine, golden, table)
    condition = np.stack([state.encoded.condition for state in states])
    alphas = golden["alphas_cumprod"].astype(np.float64)

    def clean_data(x: Doubles, timestep: int) -> Doubles:
        noise = guided_noise(engine, x.astype(np.float32), condition, timestep)
        clean: Doubles = (x - np.sqrt(1 - alphas[timestep]) * noise) / np.sqrt(alphas[timestep])
        return clean

    first = np.stack([state.x for state in states]).astype(np.float64)
    expected = published_run(clean_data, alphas, timesteps, first)
    for row in table.rows:
        engine.step(states, [row] * len(states))
    result = np.stack([state.x for state in states])
    assert relative_error(result, expected.astype(np.float32)) < TOLERANCE


def guided_noise(
    engine: TinyEngine, x: npt.NDArray[np.float32], condition: npt.NDArray[np.float32], timestep: int
) -> npt.NDArray[np.float32]:
    """The engine's guided prediction alone: a step that keeps nothing else."""
    rows = StepRows.of([StepCoefficients(timestep, a=0.0, b=1.0, guidance=2.0)] * len(x))
    return engine.denoise_step(LatentBatch(x, np.zeros_like(x), condition), rows).x


def test_a_network_that_predicts_v_takes_the_same_steps() -> None:
    noise_rows = ddim_table(ddim_timesteps(20), 0.8, 2.0, prediction_type="epsilon").rows
    v_rows = ddim_table(ddim_timesteps(20), 0.8, 2.0, prediction_type="v_prediction").rows
    generator = np.random.default_rng(3)
    x, noise = generator.standard_normal((2, 4, 8, 8))
    for noise_row, v_row in zip(noise_rows, v_rows, strict=True):
        alpha = float(alphas_cumprod()[noise_row.timestep])
        clean = (x - np.sqrt(1 - alpha) * noise) / np.sqrt(alpha)
        v = np.sqrt(alpha) * noise - np.sqrt(1 - alpha) * clean
        assert np.allclose(advance(x, v, v_row), advance(x, noise, noise_row), atol=1e-9)


def advance(
    x: npt.NDArray[np.float64], prediction: npt.NDArray[np.float64], row: StepCoefficients
) -> npt.NDArray[np.float64]:
    return row.a * x + row.b * prediction
