"""Noise, predictions and what they imply: each way there has its way back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from service.engine.sampler import PredictionType, ddim_table
from training.noising import (
    NoisyLatents,
    add_noise,
    clean_latents,
    implied_velocity,
    log_normal_timesteps,
    masked_mean_square,
    move,
    offset_noise,
    velocity_between,
)
from training.schedule import noise_schedule

KINDS: list[PredictionType] = ["epsilon", "v_prediction"]


def noised(kind: PredictionType, timesteps: Tensor) -> tuple[Tensor, NoisyLatents]:
    torch.manual_seed(0)
    latents = torch.randn(len(timesteps), 4, 8, 8)
    return latents, add_noise(latents, timesteps, torch.randn_like(latents), noise_schedule(), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_true_prediction_gives_the_clean_latents_back(kind: PredictionType) -> None:
    latents, made = noised(kind, torch.arange(0, 900, 30))
    implied = clean_latents(made.noisy, made.target, made.alpha, kind)
    assert torch.allclose(implied, latents, atol=1e-4)


def test_both_kinds_of_prediction_imply_the_same_velocity() -> None:
    timesteps = torch.arange(0, 900, 30)
    velocities = []
    for kind in KINDS:
        _, made = noised(kind, timesteps)
        velocities.append(implied_velocity(made.noisy, made.target, made.alpha, kind))
    assert torch.allclose(velocities[0], velocities[1], atol=1e-4)


def test_a_move_is_the_services_own_ddim_step() -> None:
    alphas = noise_schedule()
    row = ddim_table((749, 499), 1.0, 1.0, prediction_type="v_prediction").rows[0]
    x, v = torch.randn(2, 1, 4, 8, 8)
    moved = move(x, v, alphas[749].view(1, 1, 1, 1), alphas[499].view(1, 1, 1, 1))
    assert torch.allclose(moved, row.a * x + row.b * v, atol=1e-5)


def test_the_velocity_between_two_points_makes_the_move() -> None:
    alphas = noise_schedule()
    before, after = (
        alphas[[999, 499]].view(2, 1, 1, 1),
        torch.stack([alphas[749], torch.tensor(1.0)]).view(2, 1, 1, 1),
    )
    x, v = torch.randn(2, 2, 4, 8, 8)
    found = velocity_between(x, move(x, v, before, after), before, after)
    assert torch.allclose(found, v, atol=1e-4)


def test_timesteps_are_log_normal_and_within_the_schedule() -> None:
    torch.manual_seed(0)
    timesteps = log_normal_timesteps(4000)
    assert timesteps.min() >= 0
    assert timesteps.max() <= 999
    quartiles = torch.quantile(timesteps.float(), torch.tensor([0.25, 0.5, 0.75]))
    assert torch.allclose(
        quartiles, torch.tensor([337.0, 500.0, 662.0]), atol=20
    )  # 1000 sigmoid(-0.674, 0, 0.674)


def test_offset_noise_moves_whole_channels() -> None:
    torch.manual_seed(0)
    latents = torch.zeros(64, 4, 32, 32)
    without, strong = offset_noise(latents, 0.0), offset_noise(latents, 0.5)
    assert without.mean((2, 3)).std() < 0.05
    assert strong.mean((2, 3)).std() == pytest.approx(0.5, abs=0.06)


def test_an_error_in_the_hole_weighs_more_and_a_small_hole_as_much_as_a_large_one() -> None:
    truth = torch.zeros(1, 4, 8, 8)
    small, large = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    small[..., :2, :2], large[..., :4] = 1, 1
    for hole in (small, large):
        inside = masked_mean_square(hole.expand_as(truth), truth, hole, known_weight=0.1)
        outside = masked_mean_square((1 - hole).expand_as(truth), truth, hole, known_weight=0.1)
        known, holes = (1 - hole).sum(), hole.sum()
        assert inside.item() == pytest.approx((holes / (holes + 0.1 * known)).item())
        assert outside.item() == pytest.approx((0.1 * known / (holes + 0.1 * known)).item())


def test_a_known_weight_of_one_is_the_plain_mean() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(2, 3, 4, 8, 8)
    mask = (torch.rand(3, 1, 8, 8) < 0.3).float()
    expected = torch.nn.functional.mse_loss(one, other)
    assert torch.allclose(masked_mean_square(one, other, mask, 1.0), expected)
