"""Loss terms of the autoencoder."""

from __future__ import annotations

import pytest
import torch

from training.losses import gradient_loss


def test_the_gradient_loss_does_not_see_a_change_of_tone() -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert gradient_loss(images + 0.25, images).item() == pytest.approx(0, abs=1e-6)


def test_the_gradient_loss_sees_a_lost_edge_in_both_directions() -> None:
    edge = torch.zeros(1, 3, 8, 8)
    edge[..., 4:] = 1  # one step of height 1 in each row: 1 of 7 differences
    assert gradient_loss(torch.zeros_like(edge), edge).item() == pytest.approx(1 / 7)
    assert gradient_loss(torch.zeros_like(edge), edge.mT).item() == pytest.approx(1 / 7)
