"""The coefficient table and the starting noise, by themselves."""

from __future__ import annotations

import numpy as np
import pytest

from service.engine.sampler import ddim_table, ddim_timesteps, initial_noise
from service.errors import InvalidParameter


def test_twenty_steps_at_strength_099_start_at_900_and_are_nineteen() -> None:
    assert ddim_timesteps(20, 0.99) == tuple(range(900, -1, -50))


def test_a_full_strength_run_starts_from_the_noise_itself() -> None:
    table = ddim_table(20, 1.0, 2.0, prediction_type="epsilon")
    assert (table.image_scale, table.noise_scale) == (0.0, 1.0)
    assert len(table.rows) == 20


def test_a_weaker_run_starts_from_the_noised_picture() -> None:
    table = ddim_table(20, 0.5, 2.0, prediction_type="epsilon")
    assert table.image_scale**2 + table.noise_scale**2 == pytest.approx(1)
    assert table.rows[0].timestep == 450


def test_the_last_step_leaves_no_noise() -> None:
    last = ddim_table(10, 1.0, 2.0, prediction_type="epsilon").rows[-1]
    clean, noise = 0.7, -1.3
    alpha = 1 - 0.00085
    x = np.sqrt(alpha) * clean + np.sqrt(1 - alpha) * noise
    assert last.a * x + last.b * noise == pytest.approx(clean, abs=1e-6)


@pytest.mark.parametrize(("steps", "strength"), [(1, 0.3), (2, 0.4), (3, 0.3), (1, 0.99)])
def test_a_run_without_a_step_is_refused_with_advice(steps: int, strength: float) -> None:
    with pytest.raises(InvalidParameter, match="Raise steps or strength"):
        ddim_table(steps, strength, 2.0, prediction_type="epsilon")


@pytest.mark.parametrize("steps", range(1, 101))
def test_every_allowed_step_count_gives_finite_rows_that_end_at_zero(steps: int) -> None:
    rows = ddim_table(steps, 1.0, 2.0, prediction_type="v_prediction").rows
    assert len(rows) == steps
    assert rows[-1].timestep == 0
    assert all(np.isfinite((row.a, row.b)).all() for row in rows)


def test_the_noise_of_a_crop_depends_on_its_seed_and_its_index_only() -> None:
    shape = (4, 32, 32)
    assert np.array_equal(initial_noise(7, 3, shape), initial_noise(7, 3, shape))
    assert not np.array_equal(initial_noise(7, 3, shape), initial_noise(7, 4, shape))
    assert not np.array_equal(initial_noise(7, 3, shape), initial_noise(8, 3, shape))
    assert not np.array_equal(initial_noise(3, 7, shape), initial_noise(7, 3, shape))


def test_the_noise_is_standard_normal_in_fp32() -> None:
    noise = initial_noise(2**32 - 1, 63, (4, 64, 64))
    assert noise.dtype == np.float32
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05
