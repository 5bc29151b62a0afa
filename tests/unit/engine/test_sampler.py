"""The coefficient table and the starting noise, by themselves."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from service.denoising import Array
from service.engine.sampler import (
    NoisePlace,
    alphas_cumprod,
    ddim_table,
    ddim_timesteps,
    initial_noise,
    shared_noise,
)
from service.errors import InvalidParameter


def test_twenty_steps_at_strength_099_start_at_900_and_are_nineteen() -> None:
    rows = ddim_table(ddim_timesteps(20), 0.99, 2.0, prediction_type="epsilon").rows
    assert tuple(row.timestep for row in rows) == tuple(range(900, -1, -50))


def test_a_full_strength_run_starts_from_the_noise_itself() -> None:
    table = ddim_table(ddim_timesteps(20), 1.0, 2.0, prediction_type="epsilon")
    assert (table.image_scale, table.noise_scale) == (0.0, 1.0)
    assert len(table.rows) == 20


def test_a_weaker_run_starts_from_the_noised_picture() -> None:
    table = ddim_table(ddim_timesteps(20), 0.5, 2.0, prediction_type="epsilon")
    assert table.image_scale**2 + table.noise_scale**2 == pytest.approx(1)
    assert table.rows[0].timestep == 450


def test_the_last_step_leaves_no_noise() -> None:
    last = ddim_table(ddim_timesteps(10), 1.0, 2.0, prediction_type="epsilon").rows[-1]
    clean, noise = 0.7, -1.3
    alpha = 1 - 0.00085
    x = np.sqrt(alpha) * clean + np.sqrt(1 - alpha) * noise
    assert last.a * x + last.b * noise == pytest.approx(clean, abs=1e-6)


@pytest.mark.parametrize(("steps", "strength"), [(1, 0.3), (2, 0.4), (3, 0.3), (1, 0.99)])
def test_a_run_without_a_step_is_refused_with_advice(steps: int, strength: float) -> None:
    with pytest.raises(InvalidParameter, match="Raise steps or strength"):
        ddim_table(ddim_timesteps(steps), strength, 2.0, prediction_type="epsilon")


@pytest.mark.parametrize("steps", range(1, 101))
def test_every_allowed_step_count_gives_finite_rows_that_end_at_zero(steps: int) -> None:
    rows = ddim_table(ddim_timesteps(steps), 1.0, 2.0, prediction_type="v_prediction").rows
    assert len(rows) == steps
    assert rows[-1].timestep == 0
    assert all(np.isfinite((row.a, row.b)).all() for row in rows)


def test_the_rows_of_given_timesteps_are_what_the_formula_says_by_hand() -> None:
    # From the schedule itself: the running product of 1 - beta at 999, 499 and 249.
    alphas = [float(alphas_cumprod()[timestep]) for timestep in (999, 499, 249)]
    rows = ddim_table((999, 499, 249), 1.0, 1.0, prediction_type="v_prediction").rows
    assert [(row.timestep, row.guidance) for row in rows] == [(999, 1.0), (499, 1.0), (249, 1.0)]
    for row, alpha, after in zip(rows, alphas, [*alphas[1:], 1.0], strict=True):
        # clean = sqrt(alpha) x - sqrt(1 - alpha) v; noise = sqrt(1 - alpha) x + sqrt(alpha) v
        assert row.a == pytest.approx(sqrt(after * alpha) + sqrt((1 - after) * (1 - alpha)))
        assert row.b == pytest.approx(sqrt((1 - after) * alpha) - sqrt(after * (1 - alpha)))


def test_leading_spacing_is_one_choice_of_timesteps() -> None:
    by_hand = ddim_table((750, 500, 250, 0), 0.8, 2.0, prediction_type="epsilon")
    assert by_hand == ddim_table(ddim_timesteps(4), 0.8, 2.0, prediction_type="epsilon")


def test_a_perfect_network_gives_the_clean_latents_from_any_timesteps() -> None:
    clean, noise = 0.7, -1.3
    alphas = alphas_cumprod()
    x = sqrt(alphas[999]) * clean + sqrt(1 - alphas[999]) * noise
    for row in ddim_table((999, 749, 499, 249), 1.0, 1.0, prediction_type="v_prediction").rows:
        alpha = alphas[row.timestep]
        x = row.a * x + row.b * (sqrt(alpha) * noise - sqrt(1 - alpha) * clean)
    assert x == pytest.approx(clean, abs=1e-6)


def test_the_noise_of_a_crop_depends_on_its_seed_and_its_index_only() -> None:
    shape = (4, 32, 32)
    assert np.array_equal(initial_noise(7, 3, shape), initial_noise(7, 3, shape))
    assert not np.array_equal(initial_noise(7, 3, shape), initial_noise(7, 4, shape))
    assert not np.array_equal(initial_noise(7, 3, shape), initial_noise(8, 3, shape))
    assert not np.array_equal(initial_noise(3, 7, shape), initial_noise(7, 3, shape))


def test_tiles_that_overlap_have_the_same_noise_where_they_do() -> None:
    def noise_at(top: int, left: int, seed: int = 7, stream: int = 3) -> Array:
        return shared_noise(seed, NoisePlace(stream, 12, 14, top, left), (4, 8, 8))

    first, second = noise_at(0, 0), noise_at(4, 6)
    np.testing.assert_array_equal(first[:, 4:, 6:], second[:, :4, :2])
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, noise_at(0, 0, stream=4))
    assert not np.array_equal(first, noise_at(0, 0, seed=8))


def test_the_noise_is_standard_normal_in_fp32() -> None:
    noise = initial_noise(2**32 - 1, 63, (4, 64, 64))
    assert noise.dtype == np.float32
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05
