"""The inference form does less: what a rewrite is for, counted, and not by the clock."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from service.model.blocks import NamedConv, Upsample
from service.model.config import TINY
from service.model.inference.convolutions import NineProductUpsample
from service.model.inference.lambda_layers import FoldedLocalLambda
from service.model.inference.network import InferenceUNet
from service.model.lambda_layers import LocalLambda
from service.model.unet import MoebiusUNet


def work(call: object, *arguments: object) -> int:
    assert callable(call)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call(*arguments)
    return int(counter.get_total_flops())


def test_upsampling_takes_a_quarter_of_the_multiplications() -> None:
    layer, x = Upsample(32), torch.randn(1, 32, 8, 8)
    assert work(NineProductUpsample.of(layer), x) == work(layer, x) / 4


@pytest.mark.parametrize(("channels", "side", "share"), [(320, 64, 0.75), (640, 32, 0.5), (1280, 16, 0.4)])
def test_a_local_lambda_of_the_published_size_takes_less(channels: int, side: int, share: float) -> None:
    with torch.device("meta"):
        layer = LocalLambda(channels, 8, side, 15)
        x = torch.randn(1, channels, side, side)
    convolutions = 2 * 225 * (channels // 8) ** 2 * side**2
    published = convolutions + 2 * channels * (channels // 8) * side**2 + work(layer.to_q, x) * 1.25
    folded = FoldedLocalLambda.of(layer.to_empty(device="cpu"))
    assert work(folded, torch.zeros(1, side**2, channels)) < share * published


def test_what_both_branches_share_is_computed_once() -> None:
    network = InferenceUNet.of(MoebiusUNet(TINY).eval())
    sample, timesteps = torch.randn(1, 9, 16, 16), torch.tensor([40])
    shared = work(network, sample, timesteps, torch.tensor([0, 0]), torch.tensor([0, 1]))
    alone = work(network, sample, timesteps, torch.tensor([0]), torch.tensor([0]))
    assert shared < 2 * alone
    assert alone < shared


def test_no_batch_norm_and_no_token_projection_is_left() -> None:
    kinds: set[str] = set()
    unet = MoebiusUNet(TINY).eval()
    network = InferenceUNet.of(unet)
    for module in unet.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.Embedding | NamedConv):
            module.register_forward_hook(lambda layer, *_: kinds.add(type(layer).__name__))
    with torch.no_grad():
        network(torch.randn(1, 9, 16, 16), torch.tensor([40]), torch.tensor([0]), torch.tensor([0]))
    assert kinds == set()
