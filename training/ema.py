"""Exponential moving average of a network's weights, with the published warm-up min(d, (1 + n) / (10 + n))."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from training.sharding import local_part, sharded_like, whole

AveragedNetwork = TypeVar("AveragedNetwork", bound=nn.Module)


class ExponentialMovingAverage(Generic[AveragedNetwork]):
    """`network` is the averaged copy; buffers (BatchNorm statistics) are copied as they are.

    Where the trained network is sharded, so is the average: `network` then lies on the CPU and is up to date after
    `gather`.
    """

    def __init__(self, network: AveragedNetwork, decay: float) -> None:
        self.network: AveragedNetwork = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.decay = decay
        self.updates = 0
        self.is_sharded = False
        self.weights: list[Tensor] = list(self.network.parameters())

    def shard_like(self, network: nn.Module) -> None:
        """From now on average this process's part of the sharded `network` only."""
        self.is_sharded = True
        pairs = zip(self.network.parameters(), network.parameters(), strict=True)
        self.weights = [sharded_like(mine.detach(), theirs) for mine, theirs in pairs]
        self.network.cpu()

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards `network` by one step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged = [local_part(weight) for weight in self.weights]
        current = [local_part(weight.detach()) for weight in network.parameters()]
        torch._foreach_lerp_(averaged, current, 1 - decay)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)

    @torch.no_grad()
    def gather(self) -> None:
        """Bring `network` up to date; every process must call this."""
        if self.is_sharded:
            for mine, weight in zip(self.network.parameters(), self.weights, strict=True):
                mine.copy_(whole(weight))

    @torch.no_grad()
    def load(self, state: dict[str, Tensor], updates: int) -> None:
        """Go on from the state dict of an averaged network after so many updates."""
        self.network.load_state_dict(state)
        self.updates = updates
        for mine, weight in zip(self.network.parameters(), self.weights, strict=True):
            if self.is_sharded:
                weight.copy_(sharded_like(mine.to(weight.device), weight))
