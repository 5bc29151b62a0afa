"""The teacher against the published PixelHacker network: names, sizes, noise, block statistics and norms."""

from __future__ import annotations

import json
from functools import cache

import pytest
import torch
from torch import nn

from service.model.unet import BlockOutputs
from tests.parity.fill_rule import GOLDEN, fill, load_golden, relative_error
from training.teacher import PixelHackerUNet
from training.teacher_config import FULL_TEACHER, NANO_TEACHER, TINY_TEACHER, TeacherConfig

TOLERANCE = 3e-5
FULL_PARAMETERS = 862_251_708


@cache
def golden_outputs() -> tuple[PixelHackerUNet, BlockOutputs]:
    network = PixelHackerUNet(TINY_TEACHER).eval().requires_grad_(requires_grad=False)
    fill(network)
    golden = load_golden("pixelhacker_tiny")
    inputs = (torch.from_numpy(golden[name]) for name in ("sample", "timesteps", "input_ids"))
    return network, network.forward_with_blocks(*inputs)


def test_the_golden_noise_is_predicted_for_per_sample_timesteps() -> None:
    golden = load_golden("pixelhacker_tiny")
    assert len(set(golden["timesteps"].tolist())) > 1
    assert relative_error(golden_outputs()[1].noise, golden["noise_pred"]) < TOLERANCE


def test_every_block_has_the_golden_mean_and_deviation() -> None:
    golden = load_golden("pixelhacker_tiny")
    blocks = golden_outputs()[1].blocks
    assert len(blocks) == 9
    for index, block in enumerate(blocks):
        assert relative_error(block.mean((2, 3)), golden[f"block{index}_mean"]) < TOLERANCE
        assert relative_error(block.std((2, 3)), golden[f"block{index}_std"]) < TOLERANCE


@pytest.mark.parametrize(("size", "config"), [("full", FULL_TEACHER), ("tiny", TINY_TEACHER)])
def test_the_state_dict_has_the_published_names_shapes_and_types(size: str, config: TeacherConfig) -> None:
    published = json.loads((GOLDEN / f"pixelhacker_{size}_state_dict.json").read_text())
    with torch.device("meta"):
        state = PixelHackerUNet(config).state_dict()
    own = {
        name: [list(value.shape), str(value.dtype).removeprefix("torch.")] for name, value in state.items()
    }
    assert own == published
    assert list(own) == list(published)


def test_the_full_network_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = PixelHackerUNet(FULL_TEACHER)
    assert sum(parameter.numel() for parameter in network.parameters()) == FULL_PARAMETERS


def test_every_norm_has_the_published_epsilon() -> None:
    expected = {"norm": 1e-6, "g_norm_swish_gate": 1e-6, "conv_norm_out": 1e-5, "norm1": 1e-5, "norm2": 1e-5}
    expected["norm3"] = 1e-5
    norms = [
        (name.rpartition(".")[2], module.eps)
        for name, module in golden_outputs()[0].named_modules()
        if isinstance(module, nn.GroupNorm | nn.LayerNorm | nn.RMSNorm)
    ]
    assert {name for name, _ in norms} == set(expected)
    assert all(eps == expected[name] for name, eps in norms)


def test_the_small_teacher_gives_the_features_that_the_small_student_is_compared_with() -> None:
    network = PixelHackerUNet(NANO_TEACHER)
    with torch.no_grad():
        blocks = network.forward_with_blocks(
            torch.zeros(1, 9, 32, 32), torch.zeros(1), torch.arange(10)[None]
        ).blocks
    assert blocks[5].shape == (1, 256, 8, 8)


def test_a_shape_that_no_network_can_have_is_refused() -> None:
    with pytest.raises(ValueError, match="heads"):
        TeacherConfig(channels=(32, 64, 96, 100), norm_groups=4, heads=8)
    with pytest.raises(ValueError, match="sample_size"):
        TeacherConfig(sample_size=20)
