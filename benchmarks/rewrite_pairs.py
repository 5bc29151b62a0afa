"""Every rewrite of the inference form beside what it replaces, at the sizes of the published network.

A pair is two functions of tensors that compute the same from the same weights, and what they are called with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.published_network import PublishedInteractiveLambda, PublishedLocalLambda
from benchmarks.random_model import with_random_weights
from service.model.blocks import LambdaTransformerBlock, LlMIBlock, SeparableConv, Upsample
from service.model.config import UNetConfig
from service.model.inference.blocks import FoldedLlMIBlock
from service.model.inference.convolutions import FoldedSeparableConv, NineProductUpsample
from service.model.inference.folding import layers_of
from service.model.inference.lambda_layers import FoldedInteractiveLambda, FoldedLocalLambda
from service.model.lambda_layers import InteractiveLambda, LocalLambda

ROWS = 2  # both branches of one picture


@dataclass(frozen=True)
class Side:
    """One of a pair: a network, and the inputs it is called with."""

    network: nn.Module
    inputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Pair:
    """A rewrite at one size; `count` such layers are in a forward."""

    rewrite: str
    size: str
    count: int
    before: Side
    after: Side


class Rewritten(nn.Module):
    """A function of tensors as a network, for what measures and exports networks."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the function answers."""
        return self.function(*inputs)


def pairs(config: UNetConfig) -> Iterator[Pair]:
    """All pairs, one after the other: those of the full size together would not fit into memory."""
    levels = len(config.channels)
    for level in range(1, levels):
        yield _upsampling(config, level)
    for level in range(levels):
        yield _separable(config, level)
        yield _local(config, level)
        yield _interactive(config, level)
        yield _block(config, level)


def _size(config: UNetConfig, level: int) -> str:
    return f"{config.channels[level]} channels, {config.side(level)} x {config.side(level)}"


def _map(config: UNetConfig, level: int) -> Tensor:
    return torch.randn(ROWS, config.channels[level], config.side(level), config.side(level))


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2).contiguous()


def _blocks_of_a_level(config: UNetConfig) -> int:
    return 2 * config.layers_per_level + 1


def _upsampling(config: UNetConfig, level: int) -> Pair:
    layer, x = with_random_weights(Upsample(config.channels[level]), seed=1), _map(config, level)
    after = Rewritten(NineProductUpsample.of(layer))
    return Pair("upsampling by nine products", _size(config, level), 1, Side(layer, (x,)), Side(after, (x,)))


def _separable(config: UNetConfig, level: int) -> Pair:
    width = config.channels[level]
    layer, x = with_random_weights(SeparableConv(width, width), seed=2), _map(config, level)
    after = Side(Rewritten(FoldedSeparableConv.of(layer)), (x,))
    count = 2 * _blocks_of_a_level(config)
    return Pair("BatchNorms folded", _size(config, level), count, Side(layer, (x,)), after)


def _local(config: UNetConfig, level: int) -> Pair:
    width, side, kernel = config.channels[level], config.side(level), config.position_kernel
    layer = with_random_weights(LocalLambda(width, config.heads, side, kernel), seed=3)
    published = PublishedLocalLambda(width, config.heads, kernel).eval()
    published.load_state_dict(layer.state_dict())
    x = _map(config, level)
    after = Side(Rewritten(FoldedLocalLambda.of(layer)), (_tokens(x),))
    count = _blocks_of_a_level(config)
    return Pair("Local-lambda, queries first", _size(config, level), count, Side(published, (x,)), after)


def _interactive(config: UNetConfig, level: int) -> Pair:
    width, side, length = config.channels[level], config.side(level), config.tokens_per_prompt
    layer = with_random_weights(
        InteractiveLambda(width, config.heads, side, length, config.cross_width), seed=4
    )
    published = PublishedInteractiveLambda(width, config.heads, side**2, length, config.cross_width).eval()
    published.load_state_dict(layer.state_dict())
    prompts, x = torch.randn(ROWS, length, config.cross_width), _map(config, level)
    folded = FoldedInteractiveLambda.of(layer, prompts)
    after = Rewritten(lambda tokens, branch: folded(folded.query(tokens), branch))
    return Pair(
        "Interactive-lambda, tokens constant",
        _size(config, level),
        _blocks_of_a_level(config),
        Side(published, (x, prompts)),
        Side(after, (_tokens(x), torch.arange(ROWS))),
    )


def _block(config: UNetConfig, level: int) -> Pair:
    width, side = config.channels[level], config.side(level)
    block = with_random_weights(LlMIBlock(width, side, config), seed=5)
    prompts, x = torch.randn(ROWS, config.tokens_per_prompt, config.cross_width), _map(config, level)
    after = Rewritten(FoldedLlMIBlock.of(block, prompts))
    (inner,) = layers_of(block.transformer_blocks, LambdaTransformerBlock)
    local = PublishedLocalLambda(width, config.heads, config.position_kernel).eval()
    local.load_state_dict(inner.attn1.state_dict())
    interactive = PublishedInteractiveLambda(
        width, config.heads, side**2, config.tokens_per_prompt, config.cross_width
    ).eval()
    interactive.load_state_dict(inner.attn2.state_dict())
    inner.register_module("attn1", local)
    inner.register_module("attn2", interactive)
    return Pair(
        "LlMI block as a whole",
        _size(config, level),
        _blocks_of_a_level(config),
        Side(block, (x, prompts)),
        Side(after, (x, torch.arange(ROWS))),
    )
