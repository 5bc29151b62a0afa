"""The blocks of the Moebius U-Net: separable convolutions, residual and LlMI blocks, down and up levels.

Module names are the published ones, in the published order, so that state dicts need no mapping.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from service.model.config import UNetConfig
from service.model.lambda_layers import InteractiveLambda, LocalLambda

GROUP_NORM_EPS = 1e-5
LLMI_NORM_EPS = 1e-6
LAYER_NORM_EPS = 1e-5


class SeparableConv(nn.Module):
    """Depthwise 3x3, BatchNorm, ReLU, pointwise 1x1, BatchNorm; plus the input if channels stay the same."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.is_residual = in_channels == out_channels
        self.conv_dw = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv_pw = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, h, w] to [B, out, h, w]."""
        y: Tensor = self.bn2(self.conv_pw(F.relu(self.bn1(self.conv_dw(x)))))
        return x + y if self.is_residual else y


class ResidualBlock(nn.Module):
    """GroupNorm, SiLU, separable convolution, twice; the time embedding added between; plus a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(config.norm_groups, in_channels, GROUP_NORM_EPS)
        self.conv1 = SeparableConv(in_channels, out_channels)
        self.time_emb_proj = nn.Linear(config.time_width, out_channels)
        self.norm2 = nn.GroupNorm(config.norm_groups, out_channels, GROUP_NORM_EPS)
        self.conv2 = SeparableConv(out_channels, out_channels)
        changes = in_channels != out_channels
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if changes else nn.Identity()

    def forward(self, x: Tensor, time_embedding: Tensor) -> Tensor:
        """Map [B, in, h, w] and the time embedding [B, time_width] to [B, out, h, w]."""
        y = self.conv1(F.silu(self.norm1(x)))
        y = y + self.time_emb_proj(F.silu(time_embedding))[:, :, None, None]
        y = self.conv2(F.silu(self.norm2(y)))
        output: Tensor = self.conv_shortcut(x) + y
        return output


class NamedConv(nn.Module):
    """One convolution under the name `conv`: the published layout nests resamplers and MixFFN layers so."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve [B, in, h, w]; "same" padding."""
        y: Tensor = self.conv(x)
        return y


class MixFFN(nn.Module):
    """Gated feed-forward layer with a depthwise 3x3 convolution between its two projections."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.inverted_conv = NamedConv(channels, 2 * hidden, 1)
        self.depth_conv = NamedConv(2 * hidden, 2 * hidden, 3, groups=2 * hidden)
        self.point_conv = NamedConv(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        value, gate = self.depth_conv(F.silu(self.inverted_conv(x))).chunk(2, dim=1)  # 2 x [B, hidden, h, w]
        y: Tensor = self.point_conv(value * F.silu(gate))
        return y


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of every position of [B, C, h, w]; no copy when x is channels-last."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=LAYER_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class LambdaTransformerBlock(nn.Module):
    """Pre-norm residual sum of a Local-lambda, an Interactive-lambda and a MixFFN."""

    def __init__(self, channels: int, side: int, config: UNetConfig) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(channels)
        self.attn1 = LocalLambda(channels, config.heads, side, config.position_kernel)
        self.norm2 = ChannelLayerNorm(channels)
        self.attn2 = InteractiveLambda(
            channels, config.heads, side, config.tokens_per_prompt, config.cross_width
        )
        self.norm3 = ChannelLayerNorm(channels)
        self.ff = MixFFN(channels, config.hidden(channels))

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Map [B, C, side, side] and tokens [B, L, cross_width] to [B, C, side, side]."""
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), tokens)
        y: Tensor = x + self.ff(self.norm3(x))
        return y


class LlMIBlock(nn.Module):
    """Local-lambda Mix Interaction block: GroupNorm, 1x1, one transformer block, 1x1, plus the input."""

    def __init__(self, channels: int, side: int, config: UNetConfig) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(config.norm_groups, channels, LLMI_NORM_EPS)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([LambdaTransformerBlock(channels, side, config)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Map [B, C, side, side] and tokens [B, L, cross_width] to [B, C, side, side]."""
        y = self.proj_in(self.norm(x))
        for block in self.transformer_blocks:
            y = block(y, tokens)
        projected: Tensor = self.proj_out(y)
        return x + projected


class Upsample(NamedConv):
    """Nearest neighbour x2, then a dense 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to [B, C, 2h, 2w]."""
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class DownLevel(nn.Module):
    """Residual and LlMI blocks of one level on the way down; all but the last halve the side."""

    def __init__(self, in_channels: int, level: int, config: UNetConfig) -> None:
        super().__init__()
        channels, side, layers = config.channels[level], config.side(level), config.layers_per_level
        self.attentions = nn.ModuleList(LlMIBlock(channels, side, config) for _ in range(layers))
        widths = [in_channels] + [channels] * (layers - 1)
        self.resnets = nn.ModuleList(ResidualBlock(width, channels, config) for width in widths)
        is_last = level == len(config.channels) - 1
        self.downsamplers = nn.ModuleList([] if is_last else [NamedConv(channels, channels, 3, stride=2)])

    def forward(self, x: Tensor, time_embedding: Tensor, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the level's output and what it leaves for the way up, in order."""
        skips = []
        for resnet, attention in zip(self.resnets, self.attentions, strict=True):
            x = attention(resnet(x, time_embedding), tokens)
            skips.append(x)
        for downsample in self.downsamplers:
            x = downsample(x)
            skips.append(x)
        return x, skips


class UpLevel(nn.Module):
    """Residual and LlMI blocks of one level on the way up; all but level 0 double the side."""

    def __init__(
        self, in_channels: int, skip_channels: Sequence[int], level: int, config: UNetConfig
    ) -> None:
        super().__init__()
        channels, side = config.channels[level], config.side(level)
        self.attentions = nn.ModuleList(LlMIBlock(channels, side, config) for _ in skip_channels)
        widths = [in_channels] + [channels] * (len(skip_channels) - 1)
        self.resnets = nn.ModuleList(
            ResidualBlock(width + skip, channels, config)
            for width, skip in zip(widths, skip_channels, strict=True)
        )
        self.upsamplers = nn.ModuleList([] if level == 0 else [Upsample(channels)])

    def forward(self, x: Tensor, skips: Sequence[Tensor], time_embedding: Tensor, tokens: Tensor) -> Tensor:
        """Join `skips` (one a residual block, in the order they are taken) and return the level's output."""
        for resnet, attention, skip in zip(self.resnets, self.attentions, skips, strict=True):
            x = attention(resnet(torch.cat([x, skip], dim=1), time_embedding), tokens)
        for upsample in self.upsamplers:
            x = upsample(x)
        return x
