"""The loop that both trainers share: Muon and AdamW, the averaged weights, resumable checkpoints, the loss log."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor

from service.model.nano_autoencoder import NanoAutoencoder
from service.model.unet import MoebiusUNet
from training.checkpoints import load_checkpoint, save_checkpoint
from training.ema import ExponentialMovingAverage
from training.muon import Muon, split_parameters
from training.progress import LossLog
from training.schedule import LearningRates, learning_rate_scale

TrainedNetwork = TypeVar("TrainedNetwork", NanoAutoencoder, MoebiusUNet)


class Trainer(ABC, Generic[TrainedNetwork]):
    """`run` trains from the last checkpoint, if there is one, to step `steps`. A step is a function of the weights,
    the optimizers' state, `seed` and its number, so that a resumed run goes on as an unbroken one would.
    """

    def __init__(
        self,
        network: TrainedNetwork,
        output: Path,
        *,
        steps: int,
        rates: LearningRates,
        ema_decay: float,
        checkpoint_every: int,
        seed: int,
    ) -> None:
        self.network: TrainedNetwork = network
        self.output = output
        self.steps = steps
        self.rates = rates
        self.checkpoint_every = checkpoint_every
        self.seed = seed
        self.average = ExponentialMovingAverage(network, ema_decay)
        matrices, others = split_parameters(network)
        self.optimizers: tuple[tuple[torch.optim.Optimizer, float], ...] = (
            (Muon(matrices, rates.matrices), rates.matrices),
            (torch.optim.AdamW(others, rates.vectors, betas=(0.9, 0.99), weight_decay=0.0), rates.vectors),
        )

    @abstractmethod
    def losses(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one step, a scalar, and its terms by name."""

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step; the loss terms as numbers. Raises FloatingPointError when the loss is not finite."""
        torch.manual_seed(self.seed * 1_000_003 + step)
        loss, terms = self.losses(step)
        numbers = {name: term.item() for name, term in terms.items()}
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {step}: {numbers}")
        self.network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        scale = learning_rate_scale(step, self.rates.warmup, self.steps)
        for optimizer, peak in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * scale
            optimizer.step()
        self.average.update(self.network)
        return numbers

    def run(self) -> None:
        """Train; writes checkpoint.pt and losses.csv into the output folder."""
        self.output.mkdir(parents=True, exist_ok=True)
        first = self.resume()
        started = time.monotonic()
        with closing(LossLog(self.output / "losses.csv", first)) as log:
            for step in range(first, self.steps):
                log.add(step, self.step(step), (step + 1 - first) / (time.monotonic() - started))
                if (step + 1) % self.checkpoint_every == 0 or step + 1 == self.steps:
                    save_checkpoint(self.output / "checkpoint.pt", self.state(step + 1))

    def state(self, step: int) -> dict[str, object]:
        """Everything that a resumed run needs."""
        return {
            "step": step,
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "updates": self.average.updates,
            "optimizers": [optimizer.state_dict() for optimizer, _ in self.optimizers],
            "config": self.network.config.to_dict(),
        }

    def resume(self) -> int:
        """Load the last checkpoint, if there is one, and say at which step to go on."""
        state = load_checkpoint(self.output / "checkpoint.pt")
        if state is None:
            return 0
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.average.updates = state["updates"]
        for (optimizer, _), saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        return int(state["step"])
