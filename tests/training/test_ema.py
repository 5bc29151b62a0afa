"""The averaged weights: the published warm-up, then the decay; statistics as they are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.ema import ExponentialMovingAverage


def constant(value: float) -> nn.BatchNorm1d:
    network = nn.BatchNorm1d(1)
    nn.init.constant_(network.weight, value)
    return network


@pytest.mark.parametrize(
    ("updates", "decay"),
    [(1, 2 / 11), (2, 3 / 12), (90, 91 / 100), (100_000, 0.99)],
)
def test_the_decay_warms_up_as_published(updates: int, decay: float) -> None:
    average = ExponentialMovingAverage(constant(1.0), 0.99)
    average.updates = updates - 1
    average.update(constant(0.0))
    assert isinstance(average.network, nn.BatchNorm1d)
    assert average.network.weight.item() == pytest.approx(decay)


def test_the_average_follows_without_touching_the_network() -> None:
    network = constant(5.0)
    average = ExponentialMovingAverage(constant(0.0), 0.9)
    for _ in range(200):
        average.update(network)
    assert isinstance(average.network, nn.BatchNorm1d)
    assert average.network.weight.item() == pytest.approx(5.0, abs=1e-3)
    assert network.weight.item() == 5.0
    assert not average.network.weight.requires_grad
    assert not average.network.training


def test_statistics_are_copied_and_not_averaged() -> None:
    network = constant(1.0)
    average = ExponentialMovingAverage(network, 0.99)
    network(torch.randn(8, 1) * 3 + 7)
    average.update(network)
    mine, theirs = dict(average.network.named_buffers()), dict(network.named_buffers())
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert theirs["running_mean"].item() != 0
