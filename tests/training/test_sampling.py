"""Pictures of a network in training: guided DDIM and grids."""

from __future__ import annotations

import torch
from torch import Tensor

from service.engine.sampler import ddim_timesteps
from training.sampling import guided_ddim, picture_grid
from training.schedule import noise_schedule

POSITIVE, NEGATIVE = torch.zeros(2, 10, dtype=torch.long), torch.ones(2, 10, dtype=torch.long)


def sampled(clean: Tensor, guidance_scale: float) -> Tensor:
    """Samples by a network that knows the clean latents for the positive tokens, and twice those for the negative."""
    alphas = noise_schedule()

    def network(sample: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        alpha = alphas[timesteps].view(-1, 1, 1, 1)
        believed = clean.repeat(2, 1, 1, 1) * (1 + tokens[:, :1, None, None])
        return (sample[:, :4] - alpha.sqrt() * believed) / (1 - alpha).sqrt()

    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    return guided_ddim(
        network,
        noise,
        torch.zeros(2, 5, 8, 8),
        POSITIVE,
        NEGATIVE,
        timesteps=ddim_timesteps(20),
        guidance_scale=guidance_scale,
        prediction_type="epsilon",
    )


def test_a_network_that_knows_the_noise_is_led_to_the_latents() -> None:
    clean = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(sampled(clean, 1.0), clean, atol=1e-4)


def test_guidance_leads_away_from_the_negative_branch() -> None:
    clean = torch.ones(2, 4, 8, 8)
    assert torch.allclose(sampled(clean, 0.0), 2 * clean, atol=1e-4)
    assert torch.allclose(sampled(clean, 2.0), 0 * clean, atol=1e-4)


def test_a_grid_has_a_line_for_every_row_of_pictures() -> None:
    black, white = -torch.ones(3, 3, 2, 2), 5 * torch.ones(3, 3, 2, 2)
    grid = picture_grid([black, white])
    assert grid.shape == (4, 6, 3)
    assert (grid[:2] == 0).all()
    assert (grid[2:] == 255).all()
