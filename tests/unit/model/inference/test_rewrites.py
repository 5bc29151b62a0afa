"""Every rewrite of the inference form computes what the layer that it stands for does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from service.model.blocks import LlMIBlock, MixFFN, NamedConv, ResidualBlock, SeparableConv, Upsample
from service.model.config import TINY
from service.model.inference import positions as inference_positions
from service.model.inference.blocks import FoldedLlMIBlock, GatedFFN
from service.model.inference.convolutions import (
    Downsample,
    FoldedResidualBlock,
    FoldedSeparableConv,
    NineProductUpsample,
)
from service.model.inference.lambda_layers import FoldedInteractiveLambda, FoldedLocalLambda
from service.model.inference.network import InferenceUNet
from service.model.inference.positions import ConvolvedPositions, TiledPositions, positions_of
from service.model.lambda_layers import InteractiveLambda, LocalLambda
from service.model.unet import MoebiusUNet
from tests.small_model import fill

TOLERANCE = 1e-5  # norm of the difference / norm
CONFIG = replace(TINY, sample_size=32)


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def distance(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).norm() / expected.norm())


def as_tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


@pytest.mark.parametrize(("before", "after"), [(32, 32), (9, 32)])
def test_a_separable_convolution_takes_in_its_batch_norms(before: int, after: int) -> None:
    layer = fill(SeparableConv(before, after))
    x = torch.randn(2, before, 16, 16)
    assert distance(FoldedSeparableConv.of(layer)(x), layer(x)) < TOLERANCE


@pytest.mark.parametrize(("before", "after"), [(32, 32), (64, 32)])
def test_a_residual_block(before: int, after: int) -> None:
    block = fill(ResidualBlock(before, after, CONFIG))
    x, time = torch.randn(2, before, 16, 16), torch.randn(2, CONFIG.time_width)
    found = FoldedResidualBlock.of(block)(x, nn.functional.silu(time))
    assert distance(found, block(x, time)) < TOLERANCE


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 3)])
def test_nine_products_on_the_small_map_are_a_convolution_of_the_doubled_one(size: tuple[int, int]) -> None:
    layer = fill(Upsample(32))
    x = torch.randn(2, 32, *size)
    assert distance(NineProductUpsample.of(layer)(x), layer(x)) < TOLERANCE


def test_a_downsampling_layer() -> None:
    layer = fill(NamedConv(32, 32, 3, stride=2))
    x = torch.randn(2, 32, 8, 8)
    assert distance(Downsample.of(layer)(x), layer(x)) < TOLERANCE


@pytest.mark.parametrize("side", [4, 8, 16, 20, 32])
@pytest.mark.parametrize("kernel", [5, 15])
def test_a_local_lambda_by_tiles_or_dense(side: int, kernel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference_positions, "CONVOLUTION_COST", 1e9)
    layer = fill(LocalLambda(32, 8, side, kernel))
    x = torch.randn(2, 32, side, side)
    assert distance(FoldedLocalLambda.of(layer)(as_tokens(x)), as_tokens(layer(x))) < TOLERANCE


@pytest.mark.parametrize("tile", [1, 2, 8, 16])
def test_the_size_of_a_tile_changes_nothing(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = fill(LocalLambda(32, 8, 16, 15))
    x = torch.randn(2, 32, 16, 16)
    monkeypatch.setattr(inference_positions, "CONVOLUTION_COST", 1e9)
    monkeypatch.setattr(inference_positions, "DENSE_SIDE", 0)
    monkeypatch.setattr(inference_positions, "TILE", tile)
    folded = FoldedLocalLambda.of(layer)
    assert isinstance(folded.positions, TiledPositions)
    assert folded.positions.tile == tile
    assert distance(folded(as_tokens(x)), as_tokens(layer(x))) < TOLERANCE


@pytest.mark.parametrize(
    ("channels", "side", "kind"), [(64, 32, ConvolvedPositions), (320, 64, TiledPositions)]
)
def test_a_local_lambda_takes_the_way_with_less_work(channels: int, side: int, kind: type) -> None:
    filters = torch.randn(channels // 8, 15, 15)
    assert isinstance(positions_of(filters, side, heads=8), kind)


def test_a_narrow_local_lambda_by_convolution() -> None:
    layer = fill(LocalLambda(16, 8, 32, 15))
    x = torch.randn(2, 16, 32, 32)
    folded = FoldedLocalLambda.of(layer)
    assert isinstance(folded.positions, ConvolvedPositions)
    assert distance(folded(as_tokens(x)), as_tokens(layer(x))) < TOLERANCE


def test_an_interactive_lambda_whose_tokens_are_constants() -> None:
    layer = fill(InteractiveLambda(32, 8, 8, 10, 48))
    prompts, x = torch.randn(2, 10, 48), torch.randn(3, 32, 8, 8)
    branch = torch.tensor([1, 0, 1])
    folded = FoldedInteractiveLambda.of(layer, prompts)
    found = folded(folded.query(as_tokens(x)), branch)
    assert distance(found, as_tokens(layer(x, prompts[branch]))) < TOLERANCE


def test_the_last_layer_of_a_mix_ffn_joined_with_the_one_after_its_block() -> None:
    layer, out = fill(MixFFN(32, 80)), fill(nn.Conv2d(32, 32, 1))
    x, normed = torch.randn(2, 2, 32, 8, 8)
    assert distance(GatedFFN.of(layer, out)(x, normed), out(x + layer(normed))) < TOLERANCE


def test_a_block_whose_samples_part_at_its_tokens() -> None:
    block = fill(LlMIBlock(32, 16, CONFIG))
    prompts, x = torch.randn(2, 10, CONFIG.cross_width), torch.randn(2, 32, 16, 16)
    source, branch = torch.tensor([0, 1, 0]), torch.tensor([0, 0, 1])
    folded = FoldedLlMIBlock.of(block, prompts)
    expected = block(x[source], prompts[branch])
    assert distance(folded(x, branch, source), expected) < TOLERANCE
    assert distance(folded(x[source], branch), expected) < TOLERANCE


def test_the_whole_network_with_branches_that_share_their_samples() -> None:
    unet = fill(MoebiusUNet(TINY))
    sample, timesteps = torch.randn(2, 9, 16, 16), torch.tensor([900, 40])
    source, branch = torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1])
    ids = torch.arange(20).reshape(2, 10)[branch]
    expected = unet(sample[source], timesteps[source], ids)
    assert distance(InferenceUNet.of(unet)(sample, timesteps, source, branch), expected) < TOLERANCE
    assert distance(expected[2:], expected[1:2]) > 1e-2  # the branches differ


def test_a_table_of_other_than_two_prompts_has_no_inference_form() -> None:
    with pytest.raises(ValueError, match="token_count must be 2 x tokens_per_prompt, got 30 and 10"):
        InferenceUNet.of(MoebiusUNet(replace(TINY, token_count=30)))
