"""The network in half precision, and what stays fp32 in it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from service.model.config import TINY
from service.model.inference.casting import CastTime, CastUNet
from service.model.inference.network import InferenceUNet
from service.model.inference.parts import rebuilt
from service.model.unet import MoebiusUNet
from tests.small_model import fill

# Norm of the difference to fp32 / norm, of one prediction of random weights.
TOLERANCES = {"fp32": 1e-5, "fp16": 1e-2, "bf16": 6e-2}


@pytest.fixture(scope="module")
def network() -> InferenceUNet:
    with torch.no_grad():
        return InferenceUNet.of(fill(MoebiusUNet(TINY)))


def tensors_of(part: Any) -> list[Tensor]:
    """Every floating-point tensor in a form but those of modules, which keep their own."""
    if isinstance(part, Tensor):
        return [part] if part.is_floating_point() else []
    if isinstance(part, tuple):
        return [tensor for one in part for tensor in tensors_of(one)]
    if is_dataclass(part):
        return [tensor for field in fields(part) for tensor in tensors_of(getattr(part, field.name))]
    return []


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(2, 9, 16, 16, generator=generator)
    return sample, torch.tensor([900, 40]), torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1])


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_cast_network_predicts_the_same_within_its_precision(
    network: InferenceUNet, precision: str
) -> None:
    with torch.inference_mode():
        expected = network(*inputs())
        found = CastUNet.of(network, precision)(*inputs())
    assert found.dtype == torch.float32
    assert (found - expected).norm() / expected.norm() < TOLERANCES[precision]


def test_weights_are_half_and_maps_channels_last(network: InferenceUNet) -> None:
    cast = CastUNet.of(network, "bf16").network
    weights = tensors_of(cast)
    assert {tensor.dtype for tensor in weights} == {torch.bfloat16}
    assert all(
        tensor.is_contiguous(memory_format=torch.channels_last) for tensor in weights if tensor.ndim == 4
    )
    assert len(weights) == len(tensors_of(network))


def test_the_time_embedding_stays_fp32_and_so_tells_neighbouring_timesteps_apart(
    network: InferenceUNet,
) -> None:
    time = CastUNet.of(network, "bf16").network.time
    assert isinstance(time, CastTime)
    with torch.inference_mode():
        found = time(torch.tensor([900, 901]))
        expected = network.time(torch.tensor([900, 901]))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected.bfloat16())


def test_the_network_given_stays_as_it_was(network: InferenceUNet) -> None:
    CastUNet.of(network, "fp16")
    assert {tensor.dtype for tensor in tensors_of(network)} == {torch.float32}


def test_what_changes_nothing_rebuilds_the_same(network: InferenceUNet) -> None:
    same = rebuilt(network, lambda part: part)
    assert all(one is other for one, other in zip(tensors_of(same), tensors_of(network), strict=True))
