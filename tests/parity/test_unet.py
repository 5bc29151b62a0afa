"""The U-Net against the published one: names, sizes, noise and block statistics, on rule-filled weights."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from service.model import lambda_layers
from service.model.blocks import LambdaTransformerBlock, LlMIBlock, ResidualBlock
from service.model.config import FULL, NANO, TINY, UNetConfig
from service.model.unet import BlockOutputs, MoebiusUNet
from tests.parity.fill_rule import GOLDEN, fill, load_golden, relative_error

TOLERANCE = 1e-5
CONFIGS = {"full": FULL, "tiny": TINY}

each_size = pytest.mark.parametrize("size", [pytest.param("full", marks=pytest.mark.slow), "tiny"])


@cache
def filled(size: str) -> MoebiusUNet:
    network = MoebiusUNet(CONFIGS[size]).eval().requires_grad_(requires_grad=False)
    fill(network)
    return network


def inputs(golden: dict[str, npt.NDArray[np.float32]]) -> tuple[Tensor, Tensor, Tensor]:
    sample, timesteps, token_ids = (
        torch.from_numpy(golden[name]) for name in ("sample", "timesteps", "input_ids")
    )
    return sample, timesteps, token_ids


@cache
def outputs(size: str) -> BlockOutputs:
    return filled(size).forward_with_blocks(*inputs(load_golden(f"moebius_{size}")))


@each_size
def test_the_golden_noise_is_predicted_for_per_sample_timesteps(size: str) -> None:
    golden = load_golden(f"moebius_{size}")
    assert len(set(golden["timesteps"].tolist())) > 1
    assert relative_error(outputs(size).noise, golden["noise_pred"]) < TOLERANCE


@each_size
def test_every_block_has_the_golden_mean_and_deviation(size: str) -> None:
    golden = load_golden(f"moebius_{size}")
    blocks = outputs(size).blocks
    assert len(blocks) == 6
    for index, block in enumerate(blocks):
        assert relative_error(block.mean((2, 3)), golden[f"block{index}_mean"]) < TOLERANCE
        assert relative_error(block.std((2, 3)), golden[f"block{index}_std"]) < TOLERANCE


@each_size
def test_the_state_dict_has_the_published_names_shapes_types_and_order(size: str) -> None:
    published = json.loads((GOLDEN / f"moebius_{size}_state_dict.json").read_text())
    own = {
        name: [list(value.shape), str(value.dtype).removeprefix("torch.")]
        for name, value in filled(size).state_dict().items()
    }
    assert list(own.items()) == list(published.items())


@pytest.mark.slow
def test_the_full_network_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in filled("full").parameters()) == 226_041_531


def test_the_nano_network_has_about_nine_million_parameters() -> None:
    assert sum(parameter.numel() for parameter in MoebiusUNet(NANO).parameters()) == 9_358_331


def test_both_orders_of_the_position_term_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dense order is used up to 16x16 alone; the convolution must give the same there."""
    monkeypatch.setattr(lambda_layers, "DENSE_POSITION_SIDE", 0)
    golden = load_golden("moebius_tiny")
    noise = filled("tiny")(*inputs(golden))
    assert relative_error(noise, golden["noise_pred"]) < TOLERANCE


def test_a_channels_last_sample_gives_the_same_noise() -> None:
    golden = load_golden("moebius_tiny")
    sample, timesteps, token_ids = inputs(golden)
    noise = filled("tiny")(sample.contiguous(memory_format=torch.channels_last), timesteps, token_ids)
    assert relative_error(noise, golden["noise_pred"]) < TOLERANCE


@pytest.mark.parametrize("config", [FULL, TINY, NANO], ids=["full", "tiny", "nano"])
def test_every_norm_has_the_published_epsilon(config: UNetConfig) -> None:
    """Golden numbers can't see the epsilon of some norms, so all are held here, by their place."""
    with torch.device("meta"):
        network = MoebiusUNet(config)
    seen = set()
    for block in network.modules():
        if isinstance(block, LlMIBlock):
            seen |= check_epsilon(1e-6, block.norm)
        if isinstance(block, ResidualBlock):
            seen |= check_epsilon(1e-5, block.norm1, block.norm2)
        if isinstance(block, LambdaTransformerBlock):
            seen |= check_epsilon(1e-5, block.norm1, block.norm2, block.norm3)
        if isinstance(block, nn.BatchNorm1d | nn.BatchNorm2d):
            seen |= check_epsilon(1e-5, block)
    seen |= check_epsilon(1e-5, network.diff_model.conv_norm_out)
    norms = nn.GroupNorm, nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d
    assert seen == {id(module) for module in network.modules() if isinstance(module, norms)}


def check_epsilon(expected: float, *norms: nn.Module) -> set[int]:
    for norm in norms:
        assert norm.eps == expected
    return {id(norm) for norm in norms}
