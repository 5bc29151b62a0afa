"""The blocks of the Stable-Diffusion autoencoder (arXiv 2112.10752), named as diffusers names them.

Every GroupNorm has eps 1e-6; every block of a level but the last resamples at its end.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from service.model.blocks import Upsample
from service.model.config import AutoencoderKLConfig

NORM_EPS = 1e-6


class PlainResidualBlock(nn.Module):
    """GroupNorm, SiLU, 3x3 convolution, twice, plus a shortcut. No time embedding."""

    def __init__(self, in_channels: int, out_channels: int, norm_groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(norm_groups, in_channels, NORM_EPS)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(norm_groups, out_channels, NORM_EPS)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        changes = in_channels != out_channels
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, h, w] to [B, out, h, w]."""
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        output: Tensor = self.conv_shortcut(x) + y
        return output


class SpatialAttention(nn.Module):
    """Single-head softmax attention between all positions, plus its input."""

    def __init__(self, channels: int, norm_groups: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(norm_groups, channels, NORM_EPS)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        positions = self.group_norm(x).flatten(2).transpose(1, 2)[:, None]  # [B, 1, n, C]
        q, k, v = self.to_q(positions), self.to_k(positions), self.to_v(positions)
        mixed: Tensor = self.to_out[0](F.scaled_dot_product_attention(q, k, v))  # [B, 1, n, C]
        return x + mixed[:, 0].transpose(1, 2).reshape(x.shape)


class MidBlock(nn.Module):
    """Residual block, attention, residual block, at the coarsest level."""

    def __init__(self, channels: int, norm_groups: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([SpatialAttention(channels, norm_groups)])
        self.resnets = nn.ModuleList(PlainResidualBlock(channels, channels, norm_groups) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        y: Tensor = self.resnets[1](self.attentions[0](self.resnets[0](x)))
        return y


class PaddedDownsample(nn.Module):
    """3x3 convolution of stride 2, padded by a row and a column of zeros at the bottom right alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, 2h, 2w] to [B, C, h, w]."""
        y: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return y


class EncoderLevel(nn.Module):
    """The residual blocks of one level of the encoder, then a downsample if there is a level below."""

    def __init__(
        self, in_channels: int, channels: int, config: AutoencoderKLConfig, *, resample: bool
    ) -> None:
        super().__init__()
        self.resnets = _residual_blocks(in_channels, channels, config.layers_per_level, config.norm_groups)
        self.downsamplers = nn.ModuleList([PaddedDownsample(channels)] if resample else [])

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, h, w] to [B, C, h, w], or half the sides."""
        for layer in (*self.resnets, *self.downsamplers):
            x = layer(x)
        return x


class DecoderLevel(nn.Module):
    """The residual blocks of one level of the decoder (one more than the encoder's), then any upsample."""

    def __init__(
        self, in_channels: int, channels: int, config: AutoencoderKLConfig, *, resample: bool
    ) -> None:
        super().__init__()
        self.resnets = _residual_blocks(
            in_channels, channels, config.layers_per_level + 1, config.norm_groups
        )
        self.upsamplers = nn.ModuleList([Upsample(channels)] if resample else [])

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, h, w] to [B, C, h, w], or twice the sides."""
        for layer in (*self.resnets, *self.upsamplers):
            x = layer(x)
        return x


def _residual_blocks(in_channels: int, channels: int, count: int, norm_groups: int) -> nn.ModuleList:
    widths = [in_channels] + [channels] * (count - 1)
    return nn.ModuleList(PlainResidualBlock(width, channels, norm_groups) for width in widths)
