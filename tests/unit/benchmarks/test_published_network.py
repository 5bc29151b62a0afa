"""The published operator order computes what our network computes, and costs what was counted of it."""

from __future__ import annotations

import pytest
import torch

from benchmarks.published_network import both_branches, published_unet
from benchmarks.published_work import guided_step_work
from service.model.config import FULL, TINY
from service.model.unet import MoebiusUNet
from tests.small_model import fill

PUBLISHED_GFLOP = 316  # of one sample, one forward: docs of the architecture


def test_the_published_order_answers_what_ours_does() -> None:
    ours, published = fill(MoebiusUNet(TINY)), published_unet(TINY).eval()
    published.load_state_dict(ours.state_dict())
    generator = torch.Generator().manual_seed(3)
    sample = torch.randn(4, 9, TINY.sample_size, TINY.sample_size, generator=generator)
    timesteps, tokens = torch.tensor([900, 40, 900, 40]), both_branches(2, TINY)
    with torch.inference_mode():
        expected, found = ours(sample, timesteps, tokens), published(sample, timesteps, tokens)
    assert float((found - expected).norm() / expected.norm()) < 1e-5
    assert float((found[:2] - found[2:]).norm() / found.norm()) > 1e-3  # the branches differ


def test_positions_are_made_by_a_three_dimensional_convolution_in_every_block() -> None:
    names = [name for name, module in published_unet(TINY).named_modules() if name.endswith("attn1")]
    assert len(names) == 15
    calls = 0

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal calls
        calls += 1
        assert inputs[0].ndim == 5

    network = published_unet(TINY).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.register_forward_hook(count)
    side = TINY.sample_size
    with torch.inference_mode():
        network(torch.zeros(2, 9, side, side), torch.zeros(2, dtype=torch.int64), both_branches(1, TINY))
    assert calls == 15


def test_a_guided_step_is_two_forwards_of_the_work_as_published() -> None:
    assert guided_step_work(FULL, 1).flops == pytest.approx(2e9 * PUBLISHED_GFLOP, rel=0.01)


def test_the_weights_are_read_once_for_a_whole_batch() -> None:
    one, two = guided_step_work(TINY, 1), guided_step_work(TINY, 2)
    assert two.flops == 2 * one.flops
    weights = 4 * sum(parameter.numel() for parameter in MoebiusUNet(TINY).parameters())
    assert 0.5 * weights < 2 * one.bytes - two.bytes < 1.5 * weights
