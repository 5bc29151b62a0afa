"""The two optimizers of every run: Muon for matrices, AdamW for the rest, each with its own rate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.loop_recipe import LoopRecipe
from training.muon import Muon, split_parameters
from training.schedule import learning_rate_scale
from training.sharding import whole


class Optimizers:
    """Made when the network is on its device and sharded, if it is to be: both replace parameters."""

    def __init__(self, network: nn.Module, recipe: LoopRecipe) -> None:
        self.network, self.recipe = network, recipe
        matrices, others = split_parameters(network) if recipe.muon else ([], list(network.parameters()))
        self.all: list[torch.optim.Optimizer] = []
        if matrices:
            self.all.append(Muon(matrices, recipe.matrix_learning_rate))
        if others:
            rate = recipe.vector_learning_rate
            self.all.append(torch.optim.AdamW(others, rate, betas=(0.9, 0.99), weight_decay=0.0))

    def rates(self, step: int) -> tuple[float, float]:
        """The learning rates of Muon and AdamW at one step."""
        recipe = self.recipe
        scale = learning_rate_scale(step, recipe.warmup, recipe.steps, recipe.schedule)
        return recipe.matrix_learning_rate * scale, recipe.vector_learning_rate * scale

    def clipped_norm(self) -> Tensor:
        """Scale the gradients down to a norm of `clip_norm`, if theirs is larger; the norm before."""
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        return whole(norm)

    def step(self, step: int) -> None:
        """Update the network with the rates of this step."""
        matrix_rate, vector_rate = self.rates(step)
        for optimizer in self.all:
            for group in optimizer.param_groups:
                group["lr"] = matrix_rate if isinstance(optimizer, Muon) else vector_rate
            optimizer.step()
