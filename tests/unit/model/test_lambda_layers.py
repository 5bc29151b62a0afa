"""The lambda layers against their definition, written as plain sums over positions and tokens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from service.model.lambda_layers import InteractiveLambda, LocalLambda

CHANNELS, HEADS, KEY = 12, 3, 4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def shifted(value_map: Tensor, down: int, right: int) -> Tensor:
    """out[y, x] = map[y + down, x + right], zero outside."""
    side = value_map.shape[-1]
    out = torch.zeros_like(value_map)
    for y in range(max(0, -down), min(side, side - down)):
        for x in range(max(0, -right), min(side, side - right)):
            out[..., y, x] = value_map[..., y + down, x + right]
    return out


@pytest.mark.parametrize("side", [6, 18], ids=["dense", "convolved"])
@pytest.mark.parametrize("kernel", [3, 5])
def test_local_lambda_is_its_definition(side: int, kernel: int) -> None:
    layer = LocalLambda(CHANNELS, HEADS, side, kernel).double().eval()
    x = torch.randn(2, CHANNELS, side, side, dtype=torch.float64)
    q = layer.norm_q(layer.to_q(x)).reshape(2, HEADS, KEY, side, side)
    keys = layer.to_k(x).flatten(2).softmax(-1)
    v = layer.norm_v(layer.to_v(x))
    content = torch.einsum("bkm,bvm->bkv", keys, v.flatten(2))
    expected = torch.einsum("bhkyx,bkv->bhvyx", q, content)
    reach, bias = kernel // 2, layer.pos_conv.bias
    assert bias is not None
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            tap = layer.pos_conv.weight[:, 0, 0, down + reach, right + reach]
            expected += torch.einsum("bhkyx,k,bvyx->bhvyx", q, tap, shifted(v, down, right))
    expected += torch.einsum("bhkyx,k->bhyx", q, bias)[:, :, None]
    # The softmax is taken in fp32 whatever the input.
    torch.testing.assert_close(layer(x), expected.reshape(x.shape), rtol=1e-5, atol=1e-6)


def test_interactive_lambda_is_its_definition() -> None:
    side, tokens, width = 4, 5, 7
    layer = InteractiveLambda(CHANNELS, HEADS, side, tokens, width).double().eval()
    x = torch.randn(2, CHANNELS, side, side, dtype=torch.float64)
    conditions = torch.randn(2, tokens, width, dtype=torch.float64)
    q = layer.norm_q(layer.to_q(x)).reshape(2, HEADS, KEY, -1)
    keys = layer.to_k(conditions).softmax(1)
    v = layer.norm_v(layer.to_v(conditions).transpose(1, 2))
    content = torch.einsum("blk,bvl->bkv", keys, v)
    position = torch.einsum("nlk,bvl->bnkv", layer.rel_pos_emb[..., 0], v)
    expected = torch.einsum("bhkn,bnkv->bhvn", q, position + content[:, None])
    torch.testing.assert_close(layer(x, conditions), expected.reshape(x.shape), rtol=1e-5, atol=1e-6)
