"""The blocks of the PixelHacker U-Net (arXiv 2504.20438): Stable Diffusion 1.5's, self-attention made linear.

Module names are the published ones, so that state dicts need no mapping.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, cat, nn
from torch.nn import functional as F

from service.model.blocks import GROUP_NORM_EPS, LAYER_NORM_EPS, NamedConv, Upsample
from training.gated_linear_attention import GatedLinearAttention
from training.teacher_config import TeacherConfig

TRANSFORMER_NORM_EPS = 1e-6
FEED_FORWARD_RATIO = 4


class DenseResidualBlock(nn.Module):
    """GroupNorm, SiLU, 3x3, twice; the time embedding added between; plus a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, config: TeacherConfig) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(config.norm_groups, in_channels, GROUP_NORM_EPS)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(config.time_width, out_channels)
        self.norm2 = nn.GroupNorm(config.norm_groups, out_channels, GROUP_NORM_EPS)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        changes = in_channels != out_channels
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if changes else nn.Identity()

    def forward(self, x: Tensor, time_embedding: Tensor) -> Tensor:
        """Map [B, in, h, w] and the time embedding [B, time_width] to [B, out, h, w]."""
        y = self.conv1(F.silu(self.norm1(x)))
        y = y + self.time_emb_proj(F.silu(time_embedding))[:, :, None, None]
        y = self.conv2(F.silu(self.norm2(y)))
        output: Tensor = self.conv_shortcut(x) + y
        return output


class CrossAttention(nn.Module):
    """Softmax attention of positions to tokens."""

    def __init__(self, channels: int, cross_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(cross_width, channels, bias=False)
        self.to_v = nn.Linear(cross_width, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Map [B, n, C], conditioned by tokens [B, L, cross_width], to the same shape."""
        projected = (self.to_q(x), self.to_k(tokens), self.to_v(tokens))
        q, k, v = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in projected)  # [B, H, n or L, d]
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # [B, n, C]
        output: Tensor = self.to_out[0](attended)
        return output


class GatedProjection(nn.Module):
    """GEGLU (Shazeer 2020): twice the width, one half gates the other by GELU."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, n, C] to [B, n, hidden]."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        gated: Tensor = value * F.gelu(gate)
        return gated


class FeedForward(nn.Module):
    """GEGLU, then back; `net` has a gap at 1 where the published network has a dropout of 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = FEED_FORWARD_RATIO * channels
        self.net = nn.Sequential(
            GatedProjection(channels, hidden), nn.Identity(), nn.Linear(hidden, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, n, C] to the same shape."""
        output: Tensor = self.net(x)
        return output


class TransformerBlock(nn.Module):
    """Linear self-attention, cross-attention, feed-forward, each on a LayerNorm and added to its input."""

    def __init__(self, channels: int, config: TeacherConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, LAYER_NORM_EPS)
        self.attn1 = GatedLinearAttention(channels, config.heads)
        self.norm2 = nn.LayerNorm(channels, LAYER_NORM_EPS)
        self.attn2 = CrossAttention(channels, config.cross_width, config.heads)
        self.norm3 = nn.LayerNorm(channels, LAYER_NORM_EPS)
        self.ff = FeedForward(channels)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Map [B, n, C] to the same shape."""
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), tokens)
        output: Tensor = x + self.ff(self.norm3(x))
        return output


class SpatialTransformer(nn.Module):
    """A transformer block on a map's positions in raster order, between two 1x1 convolutions, plus the input."""

    def __init__(self, channels: int, config: TeacherConfig) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(config.norm_groups, channels, TRANSFORMER_NORM_EPS)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, config)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        positions = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)  # [B, h * w, C]
        for block in self.transformer_blocks:
            positions = block(positions, tokens)
        output: Tensor = x + self.proj_out(positions.transpose(1, 2).reshape(x.shape))
        return output


def _transformers(channels: int, count: int, config: TeacherConfig) -> nn.ModuleList:
    return nn.ModuleList(SpatialTransformer(channels, config) for _ in range(count))


class TeacherDownLevel(nn.Module):
    """Residual blocks with a transformer each, but on the coarsest level, then a downsampling, but there."""

    def __init__(self, in_channels: int, level: int, config: TeacherConfig) -> None:
        super().__init__()
        width, layers = config.channels[level], config.layers_per_level
        is_last = level == len(config.channels) - 1
        self.attentions = _transformers(width, 0 if is_last else layers, config)
        self.resnets = nn.ModuleList(
            DenseResidualBlock(width if layer else in_channels, width, config) for layer in range(layers)
        )
        downsamplers = [] if is_last else [NamedConv(width, width, 3, stride=2)]
        self.downsamplers = nn.ModuleList(downsamplers)

    def forward(self, x: Tensor, time_embedding: Tensor, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The level's output and all that the up levels skip to."""
        skips = []
        for layer, resnet in enumerate(self.resnets):
            x = resnet(x, time_embedding)
            if len(self.attentions):
                x = self.attentions[layer](x, tokens)
            skips.append(x)
        for downsampler in self.downsamplers:
            x = downsampler(x)
            skips.append(x)
        return x, skips


class TeacherMidBlock(nn.Module):
    """Residual block, transformer, residual block on the smallest map."""

    def __init__(self, channels: int, config: TeacherConfig) -> None:
        super().__init__()
        self.attentions = _transformers(channels, 1, config)
        self.resnets = nn.ModuleList(DenseResidualBlock(channels, channels, config) for _ in range(2))

    def forward(self, x: Tensor, time_embedding: Tensor, tokens: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        x = self.attentions[0](self.resnets[0](x, time_embedding), tokens)
        output: Tensor = self.resnets[1](x, time_embedding)
        return output


class TeacherUpLevel(nn.Module):
    """Residual blocks on the input beside a skip each, transformers but on the coarsest level, an upsampling."""

    def __init__(self, below: int, skips: Sequence[int], level: int, config: TeacherConfig) -> None:
        super().__init__()
        width = config.channels[level]
        is_coarsest = level == len(config.channels) - 1
        self.attentions = _transformers(width, 0 if is_coarsest else len(skips), config)
        self.resnets = nn.ModuleList(
            DenseResidualBlock((width if layer else below) + skip, width, config)
            for layer, skip in enumerate(skips)
        )
        self.upsamplers = nn.ModuleList([Upsample(width)] if level else [])

    def forward(self, x: Tensor, skips: Sequence[Tensor], time_embedding: Tensor, tokens: Tensor) -> Tensor:
        """`skips` in the order in which they are used."""
        for layer, (resnet, skip) in enumerate(zip(self.resnets, skips, strict=True)):
            x = resnet(cat([x, skip], 1), time_embedding)
            if len(self.attentions):
                x = self.attentions[layer](x, tokens)
        for upsampler in self.upsamplers:
            x = upsampler(x)
        return x
