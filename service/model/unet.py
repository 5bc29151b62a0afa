"""The Moebius U-Net (arXiv 2606.19195): noisy latents, mask and masked latents in, predicted noise out.

State-dict names, shapes and order are the published ones: `embedding_layer.weight`, then `diff_model.*`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from service.model.blocks import GROUP_NORM_EPS, DownLevel, SeparableConv, UpLevel
from service.model.config import UNetConfig

MAX_PERIOD = 10_000.0


class BlockOutputs(NamedTuple):
    """The `noise` [B, 4, h, w] and every level's output in order, each after its resampling, if any."""

    noise: Tensor
    blocks: list[Tensor]


class MoebiusUNet(nn.Module):
    """The conditioned network: a table of learned token vectors and the denoiser that reads them."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding_layer = nn.Embedding(config.token_count, config.token_width)
        self.diff_model = Denoiser(config)

    def forward(self, sample: Tensor, timesteps: Tensor, token_ids: Tensor) -> Tensor:
        """Predict the noise [B, out_channels, h, w].

        `sample` is [B, in_channels, h, w] with h = w = `config.sample_size`, `timesteps` [B], each sample its
        own, and `token_ids` [B, tokens_per_prompt], whole numbers below `config.token_count`. `ValueError` on
        other shapes.
        """
        return self.forward_with_blocks(sample, timesteps, token_ids).noise

    def forward_with_blocks(self, sample: Tensor, timesteps: Tensor, token_ids: Tensor) -> BlockOutputs:
        """Predict the noise and return every level's output beside it, all of them with gradients."""
        self._check_shapes(sample, timesteps, token_ids)
        outputs: BlockOutputs = self.diff_model(sample, timesteps, self.embedding_layer(token_ids))
        return outputs

    def _check_shapes(self, sample: Tensor, timesteps: Tensor, token_ids: Tensor) -> None:
        config = self.config
        expected = (config.in_channels, config.sample_size, config.sample_size)
        if sample.ndim != 4 or tuple(sample.shape[1:]) != expected:
            raise ValueError(f"sample must be [B, {', '.join(map(str, expected))}], got {list(sample.shape)}")
        if timesteps.ndim != 1:
            raise ValueError(f"timesteps must be [B], one a sample, got {list(timesteps.shape)}")
        if token_ids.ndim != 2 or token_ids.shape[1] != config.tokens_per_prompt:
            raise ValueError(
                f"token_ids must be [B, {config.tokens_per_prompt}], got {list(token_ids.shape)}"
            )
        if torch.compiler.is_compiling():  # an exporter proves equal batches itself
            return
        if not len(sample) == len(timesteps) == len(token_ids):
            raise ValueError(
                "sample, timesteps and token_ids must have the same batch size, "
                f"got {len(sample)}, {len(timesteps)} and {len(token_ids)}"
            )


class Denoiser(nn.Module):
    """The U-Net proper, on token vectors: down levels, up levels with skip connections, no mid block."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        channels, levels = config.channels, len(config.channels)
        self.conv_in = SeparableConv(config.in_channels, channels[0])
        self.time_embedding = TimeEmbedding(channels[0], config.time_width)
        self.encoder_hid_proj = nn.Linear(config.token_width, config.cross_width)
        self.down_blocks = nn.ModuleList()
        self.up_blocks = nn.ModuleList()
        skip_channels = [channels[0]]
        for level, width in enumerate(channels):
            self.down_blocks.append(DownLevel(channels[max(level - 1, 0)], level, config))
            is_last = level == levels - 1
            skip_channels += [width] * (config.layers_per_level + (not is_last))
        self.skips_per_level = config.layers_per_level + 1
        for level in reversed(range(levels)):
            below = channels[min(level + 1, levels - 1)]
            taken = [skip_channels.pop() for _ in range(self.skips_per_level)]
            self.up_blocks.append(UpLevel(below, taken, level, config))
        self.conv_norm_out = nn.GroupNorm(config.norm_groups, channels[0], GROUP_NORM_EPS)
        self.conv_out = SeparableConv(channels[0], config.out_channels)

    def forward(self, sample: Tensor, timesteps: Tensor, token_vectors: Tensor) -> BlockOutputs:
        """Predict the noise from [B, in, h, w], [B] and token vectors [B, L, token_width]."""
        tokens = self.encoder_hid_proj(token_vectors)  # [B, L, cross_width]
        time_embedding = self.time_embedding(timesteps)  # [B, time_width]
        x = self.conv_in(sample)  # [B, channels[0], h, w]
        skips = [x]
        blocks = []
        for level in self.down_blocks:
            x, level_skips = level(x, time_embedding, tokens)
            skips += level_skips
            blocks.append(x)
        for level in self.up_blocks:
            taken = [skips.pop() for _ in range(self.skips_per_level)]
            x = level(x, taken, time_embedding, tokens)
            blocks.append(x)
        noise = self.conv_out(F.silu(self.conv_norm_out(x)))  # [B, out, h, w]
        return BlockOutputs(noise, blocks)


class TimeEmbedding(nn.Module):
    """Timesteps to vectors: sinusoids, the cosine half first, then a two-layer perceptron."""

    frequencies: Tensor

    def __init__(self, sinusoid_width: int, width: int) -> None:
        super().__init__()
        half = sinusoid_width // 2
        exponent = torch.arange(half, dtype=torch.float32) / half
        self.register_buffer("frequencies", torch.exp(-math.log(MAX_PERIOD) * exponent), persistent=False)
        self.linear_1 = nn.Linear(sinusoid_width, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, timesteps: Tensor) -> Tensor:
        """Map [B] to [B, width]. The angles are taken in fp32: half precision can't tell 900 from 901."""
        angles = timesteps.float()[:, None] * self.frequencies.float()  # [B, sinusoid_width / 2]
        sinusoids = torch.cat([angles.cos(), angles.sin()], dim=1).to(self.linear_1.weight.dtype)
        embedding: Tensor = self.linear_2(F.silu(self.linear_1(sinusoids)))
        return embedding
