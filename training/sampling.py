"""Pictures of a network in training: guided DDIM on whole tensors, and grids to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from service.engine.sampler import PredictionType, ddim_table


@torch.no_grad()
def guided_ddim(
    network: Callable[[Tensor, Tensor, Tensor], Tensor],
    noise: Tensor,
    conditions: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    timesteps: Sequence[int],
    guidance_scale: float,
    prediction_type: PredictionType,
) -> Tensor:
    """Latents [B, 4, h, w] from `noise` of that shape at strength 1, by the service's own table of coefficients.

    `timesteps` are the run's, descending.
    `conditions` [B, 5, h, w] are the mask and the masked latents; `positive` and `negative` [B, L] token ids.
    """
    tokens = torch.cat([positive, negative])  # [2B, L]
    latents = noise
    for row in ddim_table(timesteps, 1.0, guidance_scale, prediction_type=prediction_type).rows:
        sample = torch.cat([latents, conditions], 1).repeat(2, 1, 1, 1)  # [2B, 9, h, w]
        now = torch.full((len(sample),), row.timestep, device=sample.device)
        wanted, unwanted = network(sample, now, tokens).chunk(2)  # 2 x [B, 4, h, w]
        latents = row.a * latents + row.b * (unwanted + row.guidance * (wanted - unwanted))
    return latents


def picture_grid(rows: Sequence[Tensor]) -> npt.NDArray[np.uint8]:
    """Pictures below each other, one row [N, 3, s, s] in [-1, 1] a line: [R, N] pictures -> [R s, N s, 3]."""
    lines = [torch.cat(list(row), 2) for row in rows]  # R x [3, s, N s]
    whole = torch.cat(lines, 1).clamp(-1, 1)
    pixels = ((whole + 1) * 127.5).round().byte().permute(1, 2, 0)
    return np.ascontiguousarray(pixels.cpu().numpy())
