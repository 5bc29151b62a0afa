"""Where the fused kernel is put in, and what keeps it out; a CPU stands in for the GPU that it is for."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from service.model.config import TINY
from service.model.inference import fusing
from service.model.inference.casting import CastUNet
from service.model.inference.network import InferenceUNet
from service.model.inference.positions import TiledPositions
from service.model.unet import MoebiusUNet
from tests.small_model import fill

CONFIG = replace(TINY, sample_size=32, channels=(32, 64), position_kernel=5)  # maps of 32 and 16
GPU = torch.device("cuda")


class StandIn:
    """Computes as the kernel should, or `error` of the norm beside it."""

    error: ClassVar[float] = 0.0

    def __init__(self, weight: Tensor, side: int) -> None:
        self.side = side
        self.tiled = TiledPositions.of(weight, side)

    @classmethod
    def of(cls, weight: Tensor, side: int) -> StandIn:
        return cls(weight, side)

    def __call__(self, q: Tensor, v: Tensor) -> Tensor:
        return self.tiled(q, v) * (1 + self.error)


class Unbuildable(StandIn):
    def __call__(self, q: Tensor, v: Tensor) -> Tensor:
        raise RuntimeError("Failed to find C compiler. Please specify via CC environment variable")


class Wrong(StandIn):
    error = 0.01


@pytest.fixture(scope="module")
def network() -> CastUNet:
    with torch.no_grad():
        return CastUNet.of(InferenceUNet.of(fill(MoebiusUNet(CONFIG))), "fp32")


def sides_fused(network: CastUNet) -> list[int]:
    unet = network.network
    blocks = [level.blocks for level in (unet.first, *unet.down)] + [level.blocks for level in unet.up]
    positions = [llmi.local.positions for level in blocks for _, llmi in level]
    return [one.side for one in positions if isinstance(one, StandIn)]


def test_large_maps_are_fused_on_a_gpu_and_compute_the_same(
    network: CastUNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fusing, "fused_form", lambda: StandIn.of)
    with torch.inference_mode():
        fused = fusing.with_fused_positions(network, GPU)
        inputs = torch.randn(1, 9, 32, 32), torch.tensor([700]), torch.tensor([0, 0]), torch.tensor([0, 1])
        torch.testing.assert_close(fused(*inputs), network(*inputs))
    assert sides_fused(fused) == [32] * 5  # two on the way down, three on the way up


def test_a_cpu_keeps_its_own_way(network: CastUNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusing, "fused_form", lambda: StandIn.of)
    assert fusing.with_fused_positions(network, torch.device("cpu")) is network


@pytest.mark.parametrize(
    ("form", "reason"), [(Unbuildable, "Failed to find C compiler"), (Wrong, "differs by 0.01 of the norm")]
)
def test_a_kernel_that_fails_or_errs_is_left_out_and_the_reason_told(
    network: CastUNet,
    form: type[StandIn],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(fusing, "fused_form", lambda: form.of)
    with caplog.at_level(logging.WARNING):
        assert fusing.with_fused_positions(network, GPU) is network
    (record,) = caplog.records
    assert record.getMessage() == "no fused kernel for position terms"
    assert reason in vars(record)["reason"]


def test_without_triton_nothing_is_fused_and_nothing_is_wrong(
    network: CastUNet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fusing, "fused_form", lambda: None)
    assert fusing.with_fused_positions(network, GPU) is network
    assert not caplog.records
