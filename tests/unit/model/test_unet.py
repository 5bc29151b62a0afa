"""The U-Net's contract: shapes in, shapes out, gradients, training mode and precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from service.model.config import TINY
from service.model.unet import MoebiusUNet


@pytest.fixture
def network() -> MoebiusUNet:
    torch.manual_seed(0)
    return MoebiusUNet(TINY).eval()


def inputs(batch: int = 2, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randn(batch, TINY.in_channels, TINY.sample_size, TINY.sample_size, generator=generator)
    timesteps = torch.randint(0, 1000, (batch,), generator=generator)
    token_ids = torch.randint(0, TINY.token_count, (batch, TINY.tokens_per_prompt), generator=generator)
    return sample, timesteps, token_ids


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, torch.zeros(2, 8, 16, 16), r"sample must be \[B, 9, 16, 16\], got \[2, 8, 16, 16\]"),
        (0, torch.zeros(2, 9, 16, 32), r"sample must be \[B, 9, 16, 16\], got \[2, 9, 16, 32\]"),
        (0, torch.zeros(9, 16, 16), r"sample must be \[B, 9, 16, 16\], got \[9, 16, 16\]"),
        (1, torch.tensor(7), r"timesteps must be \[B\], one a sample, got \[\]"),
        (1, torch.zeros(3), "same batch size, got 2, 3 and 2"),
        (2, torch.zeros(2, 11, dtype=torch.int64), r"token_ids must be \[B, 10\], got \[2, 11\]"),
        (2, torch.zeros(1, 10, dtype=torch.int64), "same batch size, got 2, 2 and 1"),
    ],
)
def test_an_impossible_shape_is_refused_with_what_was_expected(
    network: MoebiusUNet, position: int, value: Tensor, message: str
) -> None:
    arguments = list(inputs())
    arguments[position] = value
    with pytest.raises(ValueError, match=message):
        network(*arguments)


def test_blocks_are_given_after_resampling_and_with_gradients(network: MoebiusUNet) -> None:
    noise, blocks = network.forward_with_blocks(*inputs())
    assert noise.shape == (2, 4, 16, 16)
    assert [tuple(block.shape[1:]) for block in blocks] == [
        (32, 8, 8), (64, 4, 4), (128, 4, 4), (128, 8, 8), (64, 16, 16), (32, 16, 16),
    ]  # fmt: skip
    names, parameters = zip(*network.named_parameters(), strict=True)
    loss = torch.stack([block.square().mean() for block in blocks]).sum()
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    unreached = [name for name, gradient in zip(names, gradients, strict=True) if gradient is None]
    assert unreached
    assert all(name.startswith(("diff_model.conv_norm_out", "diff_model.conv_out")) for name in unreached)


def test_a_sample_does_not_depend_on_its_neighbours(network: MoebiusUNet) -> None:
    sample, timesteps, token_ids = inputs(batch=3)
    together = network(sample, timesteps, token_ids)
    for index in range(3):
        one = slice(index, index + 1)
        alone = network(sample[one], timesteps[one], token_ids[one])
        torch.testing.assert_close(together[one], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("argument", [1, 2], ids=["timesteps", "token_ids"])
def test_the_noise_depends_on_every_condition(network: MoebiusUNet, argument: int) -> None:
    arguments = list(inputs(batch=1))
    before = network(*arguments)
    arguments[argument] = (arguments[argument] + 1) % 20
    assert not torch.equal(network(*arguments), before)


def test_every_parameter_learns_and_batch_statistics_move(network: MoebiusUNet) -> None:
    network.train()
    statistics = network.diff_model.conv_out.bn2.running_mean
    assert statistics is not None
    before = statistics.clone()
    loss = network(*inputs(batch=4)).square().mean()
    gradients = torch.autograd.grad(loss, list(network.parameters()))  # refuses a parameter without gradient
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert not torch.equal(statistics, before)


def test_half_precision_stays_near_full_precision(network: MoebiusUNet) -> None:
    exact = network(*inputs())
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(*inputs())
    assert (rounded.float() - exact).norm() / exact.norm() < 0.05
