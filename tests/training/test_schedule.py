"""The learning rate over a run, and the noise over the timesteps."""

from __future__ import annotations

import pytest
import torch

from training.schedule import learning_rate_scale, noise_schedule


def test_the_rate_rises_linearly_then_falls_to_two_percent() -> None:
    scales = [learning_rate_scale(step, warmup=10, steps=100) for step in range(101)]
    assert scales[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert scales[10] == pytest.approx(1)
    assert scales[10:] == sorted(scales[10:], reverse=True)
    assert scales[100] == pytest.approx(0.02)


def test_the_noise_is_that_of_the_sampler() -> None:
    alphas = noise_schedule()
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    assert torch.allclose(alphas.double(), (1 - betas).cumprod(0), rtol=1e-4)


def test_a_constant_rate_stays_at_its_peak_after_the_warm_up() -> None:
    scales = [learning_rate_scale(step, warmup=4, steps=100, schedule="constant") for step in range(100)]
    assert scales[:4] == pytest.approx([0.25, 0.5, 0.75, 1])
    assert set(scales[4:]) == {1.0}
