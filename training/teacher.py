"""The teacher of the distillation: the PixelHacker U-Net (arXiv 2504.20438), noisy latents in, predicted noise out.

State-dict names and shapes are the published ones: `embedding_layer.weight`, then `diff_model.*`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from service.model.blocks import GROUP_NORM_EPS
from service.model.unet import BlockOutputs, TimeEmbedding
from training.teacher_blocks import TeacherDownLevel, TeacherMidBlock, TeacherUpLevel
from training.teacher_config import TeacherConfig


class PixelHackerUNet(nn.Module):
    """The conditioned network: a table of learned token vectors and the denoiser that reads them."""

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding_layer = nn.Embedding(config.token_count, config.token_width)
        self.diff_model = TeacherDenoiser(config)

    def forward(self, sample: Tensor, timesteps: Tensor, token_ids: Tensor) -> Tensor:
        """Predict the noise [B, out_channels, h, w].

        `sample` [B, in_channels, h, w], `timesteps` [B], each sample its own, `token_ids` [B, tokens_per_prompt].
        """
        return self.forward_with_blocks(sample, timesteps, token_ids).noise

    def forward_with_blocks(self, sample: Tensor, timesteps: Tensor, token_ids: Tensor) -> BlockOutputs:
        """Predict the noise and return the outputs of down levels 0-3, mid block and up levels 0-3 beside it."""
        outputs: BlockOutputs = self.diff_model(sample, timesteps, self.embedding_layer(token_ids))
        return outputs


class TeacherDenoiser(nn.Module):
    """The U-Net proper, on token vectors: down levels, mid block, up levels with skip connections."""

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        channels, levels = config.channels, len(config.channels)
        self.conv_in = nn.Conv2d(config.in_channels, channels[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(channels[0], config.time_width)
        self.encoder_hid_proj = nn.Linear(config.token_width, config.cross_width)
        self.down_blocks = nn.ModuleList()
        self.up_blocks = nn.ModuleList()
        skip_channels = [channels[0]]
        for level, width in enumerate(channels):
            self.down_blocks.append(TeacherDownLevel(channels[max(level - 1, 0)], level, config))
            is_last = level == levels - 1
            skip_channels += [width] * (config.layers_per_level + (not is_last))
        self.skips_per_level = config.layers_per_level + 1
        for level in reversed(range(levels)):
            below = channels[min(level + 1, levels - 1)]
            taken = [skip_channels.pop() for _ in range(self.skips_per_level)]
            self.up_blocks.append(TeacherUpLevel(below, taken, level, config))
        self.mid_block = TeacherMidBlock(channels[-1], config)
        self.conv_norm_out = nn.GroupNorm(config.norm_groups, channels[0], GROUP_NORM_EPS)
        self.conv_out = nn.Conv2d(channels[0], config.out_channels, 3, padding=1)

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
        x = self.mid_block(x, time_embedding, tokens)
        blocks.append(x)
        for level in self.up_blocks:
            taken = [skips.pop() for _ in range(self.skips_per_level)]
            x = level(x, taken, time_embedding, tokens)
            blocks.append(x)
        noise = self.conv_out(F.silu(self.conv_norm_out(x)))  # [B, out, h, w]
        return BlockOutputs(noise, blocks)
