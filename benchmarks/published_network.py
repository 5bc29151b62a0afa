"""The U-Net in the published operator order, to measure ours against: positions by Conv3d on the value maps, einsums
one after the other, tokens projected at every forward.

Parameters and their names are those of `MoebiusUNet`, so that one state dict fills both. Shapes: B samples, H heads,
k key and v value channels, n positions, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from service.model.blocks import LambdaTransformerBlock
from service.model.config import UNetConfig
from service.model.unet import MoebiusUNet


class PublishedLocalLambda(nn.Module):
    """Self lambda layer: a lambda [k, v] of the content, and one of every position's neighbourhood."""

    def __init__(self, channels: int, heads: int, position_kernel: int) -> None:
        super().__init__()
        self.heads = heads
        self.key_width = channels // heads
        self.padding = (0, position_kernel // 2, position_kernel // 2)
        self.to_q = nn.Conv2d(channels, channels, 1, bias=False)
        self.to_k = nn.Conv2d(channels, self.key_width, 1, bias=False)
        self.to_v = nn.Conv2d(channels, self.key_width, 1, bias=False)
        self.norm_q = nn.BatchNorm2d(channels)
        self.norm_v = nn.BatchNorm2d(self.key_width)
        self.pos_conv = nn.Conv3d(
            1, self.key_width, (1, position_kernel, position_kernel), padding=self.padding
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, side, side] to the same shape."""
        batch, _, height, width = x.shape
        q = self.norm_q(self.to_q(x)).reshape(batch, self.heads, self.key_width, -1)  # [B, H, k, n]
        k = self.to_k(x).reshape(batch, 1, self.key_width, -1).softmax(-1)  # [B, 1, k, n]
        v = self.norm_v(self.to_v(x)).reshape(batch, 1, self.key_width, -1)  # [B, 1, v, n]
        content = torch.einsum("bukm,buvm->bkv", k, v)
        content_output = torch.einsum("bhkn,bkv->bhvn", q, content)
        maps = v.reshape(batch, 1, self.key_width, height, width)
        position = self.pos_conv(maps).flatten(3)  # [B, k, v, n]
        position_output = torch.einsum("bhkn,bkvn->bhvn", q, position)
        return (content_output + position_output).reshape(x.shape)


class PublishedInteractiveLambda(nn.Module):
    """Cross lambda layer: keys and values of the tokens, and a lambda [k, v] made for every position."""

    def __init__(self, channels: int, heads: int, positions: int, tokens: int, cross_width: int) -> None:
        super().__init__()
        self.heads = heads
        key_width = channels // heads
        self.rel_pos_emb = nn.Parameter(0.02 * torch.randn(positions, tokens, key_width, 1))
        self.to_q = nn.Conv2d(channels, channels, 1, bias=False)
        self.to_k = nn.Linear(cross_width, key_width, bias=False)
        self.to_v = nn.Linear(cross_width, key_width, bias=False)
        self.norm_q = nn.BatchNorm2d(channels)
        self.norm_v = nn.BatchNorm1d(key_width)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Map [B, C, side, side], conditioned by tokens [B, L, cross_width], to the same shape."""
        batch, channels = x.shape[:2]
        q = self.norm_q(self.to_q(x)).reshape(batch, self.heads, channels // self.heads, -1)  # [B, H, k, n]
        k = self.to_k(tokens).transpose(1, 2)[:, None].softmax(-1)  # [B, 1, k, L]
        v = self.norm_v(self.to_v(tokens).transpose(1, 2))[:, None]  # [B, 1, v, L]
        content = torch.einsum("bukm,buvm->bkv", k, v)
        content_output = torch.einsum("bhkn,bkv->bhvn", q, content)
        position = torch.einsum("nmku,buvm->bnkv", self.rel_pos_emb, v)
        position_output = torch.einsum("bhkn,bnkv->bhvn", q, position)
        return (content_output + position_output).reshape(x.shape)


def published_unet(config: UNetConfig) -> MoebiusUNet:
    """The network with fresh weights, both lambda layers of every block in the published order."""
    network = MoebiusUNet(config)
    for block in network.modules():
        if isinstance(block, LambdaTransformerBlock):
            _replace_lambdas(block, config)
    return network


def _replace_lambdas(block: LambdaTransformerBlock, config: UNetConfig) -> None:
    positions, tokens, key_width, _ = block.attn2.rel_pos_emb.shape
    channels = key_width * config.heads
    block.attn1 = PublishedLocalLambda(channels, config.heads, config.position_kernel)  # type: ignore[assignment]
    block.attn2 = PublishedInteractiveLambda(  # type: ignore[assignment]
        channels, config.heads, positions, tokens, config.cross_width
    )


def both_branches(samples: int, config: UNetConfig) -> Tensor:
    """Token ids [2 * samples, L]: the positive rows, then the negative ones."""
    positive = torch.arange(config.tokens_per_prompt)
    return torch.cat([positive.repeat(samples, 1), (positive + config.tokens_per_prompt).repeat(samples, 1)])
