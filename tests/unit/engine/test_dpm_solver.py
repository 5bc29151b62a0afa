"""The second-order sampler's table against the paper's algorithm written out in double precision, and its order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest

from service.denoising import StepCoefficients
from service.engine.dpm_solver import dpm_solver_table, dpm_solver_timesteps
from service.engine.sampler import PredictionType, ddim_table
from service.errors import InvalidParameter
from tests.published_dpm_solver import Doubles, published_run

Network = Callable[[Doubles, int], Doubles]

# The schedule of the published models, made here again: scaled-linear betas, in double precision.
ALPHAS: Doubles = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
START = np.random.default_rng(5).standard_normal(64)


def signal(timestep: int) -> float:
    return float(np.sqrt(ALPHAS[timestep]))


def noise(timestep: int) -> float:
    return float(np.sqrt(1 - ALPHAS[timestep]))


def some_network(x: Doubles, timestep: int) -> Doubles:
    """Any smooth function that is no plain map of x."""
    predicted: Doubles = np.tanh(1.3 * x + np.sin(timestep / 90)) + 0.3 * np.cos(x)
    return predicted


def paper(timesteps: Sequence[int], predicts: PredictionType) -> Doubles:
    return published_run(lambda x, t: clean_of(some_network, x, t, predicts), ALPHAS, timesteps, START)


def clean_of(network: Network, x: Doubles, timestep: int, predicts: PredictionType) -> Doubles:
    predicted = network(x, timestep)
    if predicts == "epsilon":
        return (x - noise(timestep) * predicted) / signal(timestep)
    return signal(timestep) * x - noise(timestep) * predicted


def by_rows(network: Network, rows: Sequence[StepCoefficients], x: Doubles = START) -> Doubles:
    clean = np.zeros_like(x)
    for row in rows:
        predicted = network(x, row.timestep)
        x, clean = (
            row.a * x + row.b * predicted + row.c * clean,
            row.p * x + row.q * predicted,
        )
    return x


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [1, 2, 3, 8, 10, 25])
def test_a_run_is_the_papers_algorithm(steps: int, predicts: PredictionType) -> None:
    timesteps = dpm_solver_timesteps(steps, 1.0)
    rows = dpm_solver_table(timesteps, 1.0, 2.0, prediction_type=predicts).rows
    expected = paper(timesteps, predicts)
    assert by_rows(some_network, rows) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_any_spacing_is_the_papers_algorithm() -> None:
    timesteps = (999, 950, 724, 700, 330, 153, 52, 14, 3, 0)
    rows = dpm_solver_table(timesteps, 1.0, 2.0, prediction_type="v_prediction").rows
    expected = paper(timesteps, "v_prediction")
    assert by_rows(some_network, rows) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_weaker_run_is_the_papers_algorithm_from_its_own_first_timestep() -> None:
    timesteps = dpm_solver_timesteps(10, 0.5)
    table = dpm_solver_table(timesteps, 0.5, 2.0, prediction_type="v_prediction")
    assert (len(timesteps), timesteps[0]) == (5, 499)
    assert (table.image_scale, table.noise_scale) == pytest.approx((signal(499), noise(499)), rel=1e-5)
    expected = paper(timesteps, "v_prediction")
    assert by_rows(some_network, table.rows) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_first_step_and_the_last_do_not_read_the_step_before() -> None:
    rows = dpm_solver_table(dpm_solver_timesteps(6, 1.0), 1.0, 2.0, prediction_type="epsilon").rows
    assert (rows[0].c, rows[-1].c) == (0, 0)
    assert all(row.c != 0 for row in rows[1:-1])


def test_a_single_step_is_one_of_ddim() -> None:
    assert dpm_solver_table((999,), 1.0, 2.0, prediction_type="v_prediction") == ddim_table(
        (999,), 1.0, 2.0, prediction_type="v_prediction"
    )


def test_guidance_is_the_requests_in_every_row() -> None:
    rows = dpm_solver_table(dpm_solver_timesteps(4, 1.0), 1.0, 3.5, prediction_type="epsilon").rows
    assert {row.guidance for row in rows} == {3.5}


def test_a_perfect_network_gives_the_clean_latents_from_any_timesteps() -> None:
    clean = np.linspace(-1, 1, 64)

    def perfect(x: Doubles, timestep: int) -> Doubles:
        return (x - signal(timestep) * clean) / noise(timestep)

    rows = dpm_solver_table((999, 700, 650, 100, 3), 1.0, 1.0, prediction_type="epsilon").rows
    assert by_rows(perfect, rows) == pytest.approx(clean, abs=1e-4)


MEAN, DEVIATION = 0.4, 0.2  # of the data, a Gaussian, whose score is known at every timestep


def exact_network(x: Doubles, timestep: int) -> Doubles:
    """The noise that is expected in x."""
    variance = (signal(timestep) * DEVIATION) ** 2 + noise(timestep) ** 2
    return noise(timestep) * (x - signal(timestep) * MEAN) / variance


def exact_state(x: Doubles, start: int, end: int) -> Doubles:
    """Where the probability flow takes x from `start` to `end`: each stays as many deviations from the mean."""

    def deviation(timestep: int) -> float:
        return float(np.hypot(signal(timestep) * DEVIATION, noise(timestep)))

    deviations = (x - signal(start) * MEAN) / deviation(start)
    return signal(end) * MEAN + deviation(end) * deviations


def error_before_the_last_step(rows: Sequence[StepCoefficients]) -> float:
    """Of the state at the last timestep, which every run here has in common."""
    reached = by_rows(exact_network, rows[:-1])
    return float(np.abs(reached - exact_state(START, rows[0].timestep, rows[-1].timestep)).max())


def evenly(steps: int) -> tuple[int, ...]:
    """From 999 to 99."""
    return tuple(range(999, 98, -900 // steps))


def test_on_a_gaussian_its_error_falls_with_the_square_of_the_steps_and_ddims_with_the_steps() -> None:
    errors, of_ddim = (
        [
            error_before_the_last_step(table(evenly(steps), 1.0, 1.0, prediction_type="epsilon").rows)
            for steps in (45, 90, 180)
        ]
        for table in (dpm_solver_table, ddim_table)
    )
    assert all(3.5 < fewer / more < 4.5 for fewer, more in pairwise(errors)), errors
    assert all(1.8 < fewer / more < 2.2 for fewer, more in pairwise(of_ddim)), of_ddim
    assert errors[0] < of_ddim[0] / 10


@pytest.mark.parametrize("steps", range(1, 101))
def test_every_allowed_step_count_gives_finite_rows_through_falling_timesteps(steps: int) -> None:
    timesteps = dpm_solver_timesteps(steps, 1.0)
    rows = dpm_solver_table(timesteps, 1.0, 2.0, prediction_type="v_prediction").rows
    assert tuple(row.timestep for row in rows) == timesteps
    assert (len(timesteps), timesteps[0]) == (steps, 999)
    assert all(later < earlier for earlier, later in pairwise((*timesteps, -1)))
    assert all(np.isfinite((row.a, row.b, row.c, row.p, row.q)).all() for row in rows)


def test_the_steps_are_even_in_log_snr() -> None:
    timesteps = dpm_solver_timesteps(10, 1.0)
    lambdas = np.log(ALPHAS / (1 - ALPHAS)) / 2
    assert np.diff([*lambdas[list(timesteps)], lambdas[0]]) == pytest.approx(
        [(lambdas[0] - lambdas[999]) / 10] * 10, rel=0.2
    )


@pytest.mark.parametrize(("strength", "first", "count"), [(0.99, 989, 9), (0.7, 699, 7), (0.3, 299, 3)])
def test_a_weaker_run_starts_with_as_much_less_noise(strength: float, first: int, count: int) -> None:
    timesteps = dpm_solver_timesteps(10, strength)
    assert (timesteps[0], len(timesteps)) == (first, count)


@pytest.mark.parametrize(("steps", "strength"), [(1, 0.3), (2, 0.4), (3, 0.3), (1, 0.99)])
def test_a_run_without_a_step_is_refused_with_advice(steps: int, strength: float) -> None:
    with pytest.raises(InvalidParameter, match="Raise steps or strength"):
        dpm_solver_timesteps(steps, strength)
