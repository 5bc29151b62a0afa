"""Loss terms of the trainers."""

from __future__ import annotations

from torch import Tensor


def gradient_loss(restored: Tensor, images: Tensor) -> Tensor:
    """Mean L1 difference of horizontal and vertical finite differences: keeps edges sharp. Inputs [B, 3, H, W]."""
    error = restored - images
    horizontal = (error[..., :, 1:] - error[..., :, :-1]).abs().mean()
    vertical = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return horizontal + vertical
