"""The whole U-Net in its inference form, and a denoising step around it: what backends run and exporters trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from service.model.blocks import DownLevel, UpLevel
from service.model.inference.blocks import FoldedDownLevel, FoldedUpLevel, Rows
from service.model.inference.convolutions import FoldedSeparableConv, GroupNorm
from service.model.inference.folding import layers_of
from service.model.unet import MoebiusUNet

Predict = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # as InferenceUNet is called

BRANCHES = 2  # positive and negative, the first and the second half of the token table


@dataclass(frozen=True)
class InferenceUNet:
    """A trained Moebius U-Net with everything folded that is constant at inference; both branches' tokens are in it.

    What lies before the first Interactive-lambda is computed once a sample, the rest once a row.
    """

    conv_in: FoldedSeparableConv
    time: Callable[[Tensor], Tensor]  # timesteps [S] to embeddings [S, time_width]
    first: FoldedDownLevel
    down: tuple[FoldedDownLevel, ...]
    up: tuple[FoldedUpLevel, ...]
    norm_out: GroupNorm
    conv_out: FoldedSeparableConv

    @classmethod
    def of(cls, unet: MoebiusUNet) -> InferenceUNet:
        """The inference form of a trained network in evaluation mode. Its tensors are the network's or new ones.

        `ValueError` if the table does not hold the tokens of both branches.
        """
        network, config = unet.diff_model, unet.config
        if config.token_count != BRANCHES * config.tokens_per_prompt:
            raise ValueError(
                f"token_count must be {BRANCHES} x tokens_per_prompt, got {config.token_count} and "
                f"{config.tokens_per_prompt}: one prompt for each branch of guidance"
            )
        tokens = network.encoder_hid_proj(unet.embedding_layer.weight)  # [2 L, width]
        tokens = tokens.reshape(BRANCHES, config.tokens_per_prompt, -1)
        first, *down = (
            FoldedDownLevel.of(level, tokens) for level in layers_of(network.down_blocks, DownLevel)
        )
        return cls(
            FoldedSeparableConv.of(network.conv_in),
            network.time_embedding,
            first,
            tuple(down),
            tuple(FoldedUpLevel.of(level, tokens) for level in layers_of(network.up_blocks, UpLevel)),
            GroupNorm.of(network.conv_norm_out),
            FoldedSeparableConv.of(network.conv_out),
        )

    def __call__(self, sample: Tensor, timesteps: Tensor, source: Tensor, branch: Tensor) -> Tensor:
        """Predict [B, out, h, w] from samples [S, in, h, w] at `timesteps` [S].

        Each of the B rows continues the sample `source` [B] in the branch of guidance `branch` [B] (0 or 1).
        """
        time = F.silu(self.time(timesteps))  # [S, time_width]
        x = self.conv_in(sample)  # [S, channels[0], h, w]
        rows = Rows(time.index_select(0, source), branch)
        skips = [x.index_select(0, source)]
        x, level_skips = self.first.first(x, time, source, rows)
        skips += level_skips
        for down in self.down:
            x, level_skips = down(x, rows)
            skips += level_skips
        for up in self.up:
            taken = [skips.pop() for _ in up.blocks]
            x = up(x, taken, rows)
        return self.conv_out(self.norm_out.silu(x))


def denoising_step(
    network: Predict,
    x: Tensor,
    clean: Tensor,
    condition: Tensor,
    timesteps: Tensor,
    source: Tensor,
    branch: Tensor,
    negative: Tensor,
    coefficients: Tensor,
) -> tuple[Tensor, Tensor]:
    """The next `x` and `clean` [S, 4, h, w]: arguments, guidance and update as service.denoising says."""
    prediction = network(torch.cat([x, condition], dim=1), timesteps, source, branch)  # [B, 4, h, w]
    positive, against = prediction[: x.shape[0]], prediction.index_select(0, negative)  # [S, 4, h, w]
    guidance, a, b, c, p, q = coefficients[..., None, None, None].unbind(1)  # [S, 1, 1, 1] each
    guided = against + guidance * (positive - against)
    return a * x + b * guided + c * clean, p * x + q * guided
