"""Gated linear attention: the chunked form is the recurrence, whatever the gates and the length."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.gated_linear_attention import (
    CHUNK,
    GatedLinearAttention,
    chunked_gated_attention,
    gated_attention,
    recurrent_gated_attention,
)


def inputs(length: int, gate: float, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """q, k [2, 3, n, 4], v [2, 3, n, 5] and log decays about `-gate` [2, 3, n, 4]."""
    generator = torch.Generator().manual_seed(length)
    q, k, v, g = (
        torch.randn(2, 3, length, width, generator=generator, dtype=dtype) for width in (4, 4, 5, 4)
    )
    return q, k, v, -gate * g.sigmoid()


@pytest.mark.parametrize("length", [1, CHUNK - 1, CHUNK, CHUNK + 1, 64, 100])
@pytest.mark.parametrize("gate", [0.0, 0.1, 5.0])
def test_chunks_give_what_the_recurrence_gives(length: int, gate: float) -> None:
    tensors = inputs(length, gate)
    assert torch.allclose(chunked_gated_attention(*tensors), recurrent_gated_attention(*tensors), atol=1e-12)


def test_gradients_are_those_of_the_recurrence() -> None:
    gradients = []
    for form in (chunked_gated_attention, recurrent_gated_attention):
        tensors = [tensor.requires_grad_() for tensor in inputs(40, 0.5)]
        gradients.append(torch.autograd.grad(form(*tensors).square().sum(), tensors))
    for chunked, recurrent in zip(*gradients, strict=True):
        assert torch.allclose(chunked, recurrent, atol=1e-10)


def test_a_gate_that_forgets_everything_overflows_nothing() -> None:
    q, k, v, _ = inputs(64, 0.0, torch.float32)
    output = chunked_gated_attention(q, k, v, torch.full_like(q, -300.0))
    own = (q * k).sum(-1, keepdim=True) * v / q.shape[-1] ** 0.5  # each position sees itself alone
    assert torch.allclose(output, own, atol=1e-6)


def test_a_position_sees_itself_and_what_came_before_it() -> None:
    q, k, v, decay = inputs(50, 0.1)
    changed = v.clone()
    changed[:, :, 20] += 1
    difference = (
        (gated_attention(q, k, changed, decay) - gated_attention(q, k, v, decay)).abs().amax((0, 1, 3))
    )
    assert difference[:20].max() == 0
    assert difference[20:].min() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="flash-linear-attention's kernels need a GPU")
def test_the_fused_kernel_gives_what_the_chunks_give() -> None:
    pytest.importorskip("fla")
    tensors = [tensor.cuda() for tensor in inputs(64, 0.1, torch.float32)]
    assert torch.allclose(gated_attention(*tensors), chunked_gated_attention(*tensors), atol=1e-3)


def test_the_layer_keeps_the_shape_of_its_input() -> None:
    layer = GatedLinearAttention(channels=32, heads=4)
    assert layer(torch.randn(2, 20, 32)).shape == (2, 20, 32)
