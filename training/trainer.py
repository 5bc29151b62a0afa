"""The loop that all trainers share: steps on any number of processes, checkpoints, what a run tells, how it ends.

A step is a function of the weights, the optimizers' state, `seed` and its number. Every random draw is made for the
global batch, on the CPU, and each process takes its own rows: so a resumed run goes on as an unbroken one would, and
two processes compute what one does, up to rounding.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from training.batch_norm import freeze_statistics, synchronise_statistics
from training.checkpoints import CHECKPOINT, keep_checkpoint, load_checkpoint, save_checkpoint
from training.ema import ExponentialMovingAverage
from training.gradient_checkpointing import checkpoint_blocks
from training.loop_recipe import LoopRecipe
from training.optimizers import Optimizers
from training.processes import Processes, sharding_plugin
from training.run_log import Picture, RunLog
from training.run_state import gathered_state, gathered_weights, refuse_mismatch, restore
from training.stop_signals import StopSignals

TrainedNetwork = TypeVar("TrainedNetwork", bound=nn.Module)


class Trainer(ABC, Generic[TrainedNetwork]):
    """`run` trains from the last checkpoint, if there is one, to the recipe's last step.

    `network` is the bare network and `average` its moving average; `model`, what a subclass calls for a forward pass,
    exchanges gradients and casts as the processes and the recipe want it.
    """

    def __init__(self, network: TrainedNetwork, recipe: LoopRecipe) -> None:
        self.loop = recipe
        self.processes = Processes(recipe)
        self.device = self.processes.device
        self.network: TrainedNetwork = network.to(self.device).train()
        self.average = ExponentialMovingAverage(self.network, recipe.ema_decay)
        if recipe.frozen_batch_norm:
            freeze_statistics(network)
        elif self.processes.count > 1:
            synchronise_statistics(network, self.device)
        if recipe.gradient_checkpointing:
            checkpoint_blocks(network)
        self.model = self.processes.wrap(self.forward_module())
        if sharding_plugin() is not None:
            self.average.shard_like(network)
        self.optimizers = Optimizers(network, recipe)
        self.rows = self.processes.rows(0)
        self.batch_seen: dict[str, Tensor] = {}

    @abstractmethod
    def losses(self, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """The loss of this process's rows of one micro-batch, a scalar, and its terms by name.

        PyTorch's generator has been seeded with (seed, step). Draw for the global batch, on the CPU, and pass what
        was drawn through `share`, or own rows of it through `place`; the loss must be a mean over samples. A term
        that starts with a_ is a weight.
        """

    def forward_module(self) -> nn.Module:
        """The module whose `forward` a step calls as `self.model`: a module around the network where its own forward
        is not what the losses need.
        """
        return self.network

    def sample_grid(self, step: int) -> Picture | None:  # noqa: ARG002 - for subclasses
        """What the averaged network does after `step` steps, as a picture [H, W, 3], or None: no grids."""
        return None

    def share(self, name: str, batch: Tensor) -> Tensor:
        """Take this process's rows of a tensor [B, ...] of the global batch to its device; `name` is for error reports.

        Raises ValueError unless B is the recipe's batch.
        """
        if len(batch) != self.loop.batch:
            raise ValueError(f"{name} must have {self.loop.batch} rows, the global batch, not {len(batch)}")
        return self.place(name, batch[self.rows])

    def place(self, name: str, rows: Tensor) -> Tensor:
        """Take what are this process's own rows already to its device; `name` is for error reports."""
        self.batch_seen[name] = rows
        return rows.to(self.device, non_blocking=True)

    def all_reduced(self, tensor: Tensor) -> Tensor:
        """The mean over all processes of a tensor of the same shape on each, such as a weight's gradient."""
        return self.processes.mean(tensor)

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step; the loss terms as numbers. Raises FloatingPointError, with the weights as they were,
        when the loss or the gradient is not finite.
        """
        statistics = [buffer.clone() for buffer in self.network.buffers()]
        self.network.zero_grad(set_to_none=True)
        loss, terms = self._accumulated(step)
        norm = self.optimizers.clipped_norm().item()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            for buffer, before in zip(self.network.buffers(), statistics, strict=True):
                buffer.copy_(before)
            self._end_not_finite(step, loss, norm, terms)
        self.optimizers.step(step)
        self.average.update(self.network)
        self.gradient_norm = norm
        return terms

    def _accumulated(self, step: int) -> tuple[float, dict[str, float]]:
        """Gradients of the global batch, and the means of its loss and terms over all micro-batches and processes."""
        count = self.loop.accumulate
        total: Tensor | float = 0.0
        names: list[str] = []
        for micro_batch in range(count):
            torch.manual_seed(self.loop.seed * 1_000_003 + step)
            self.rows = self.processes.rows(micro_batch)
            with self.model.gradients_kept_local(local=micro_batch + 1 < count):
                loss, terms = self.losses(step)
                (loss / count).backward()  # type: ignore[no-untyped-call]
            names = list(terms)
            numbers = [loss.detach(), *(torch.as_tensor(term).detach() for term in terms.values())]
            total = total + torch.stack([number.to(self.device, torch.float64) for number in numbers])
        assert isinstance(total, Tensor)
        first, *others = self.processes.mean(total / count).tolist()
        return first, dict(zip(names, others, strict=True))

    def _end_not_finite(self, step: int, loss: float, norm: float, terms: dict[str, float]) -> None:
        """Save what led here, each process its own rows, and raise FloatingPointError."""
        path = self.loop.output / f"nan_step_{step}.pt"
        weights = gathered_weights(self.network)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.processes.is_first:
            found = {"step": step, "loss": loss, "gradient_norm": norm, "terms": terms}
            save_checkpoint(path, found | {"batch": self.batch_seen, "network": weights})
        else:
            rows = path.with_name(f"{path.stem}_process_{self.processes.rank}.pt")
            save_checkpoint(rows, {"batch": self.batch_seen})
        shown = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
        raise FloatingPointError(
            f"the loss is {loss} and the gradient's norm {norm} at step {step} ({shown}). The batch, the terms and "
            f"the weights before the step are in {path}. Try a lower learning rate or clip_norm, a longer warmup or "
            "mixed_precision: no; if the batch itself holds what is not finite, mend the data."
        )

    def run(self) -> None:
        """Train; writes checkpoint.pt, losses.csv, sample grids, TensorBoard's files and a report into the output
        folder. Raises SystemExit after a step that a SIGTERM (status 0) or SIGINT (130) came in.
        """
        self.loop.output.mkdir(parents=True, exist_ok=True)
        first = self.resume()
        if self.processes.is_first:
            self.loop.write(self.loop.output / "recipe.yaml")
        log = RunLog(self.loop, first) if self.processes.is_first else None
        with StopSignals() as signals, log or nullcontext():
            for step in range(first, self.loop.steps):
                terms = self.step(step)
                if log:
                    log.step(step, terms, self._measures(step))
                stopping = self.processes.any(signals.received is not None)
                self._keep(step + 1, log, stopping=stopping)
                if stopping and step + 1 < self.loop.steps:
                    self._stop(step + 1, signals)
        if self.processes.is_first:
            self._report()

    def _stop(self, done: int, signals: StopSignals) -> None:
        if self.processes.is_first:
            print(f"stopped after step {done}: the same command goes on from there", flush=True)
        raise SystemExit(signals.exit_code)

    def _measures(self, step: int) -> dict[str, float]:
        matrix_rate, vector_rate = self.optimizers.rates(step)
        rates = {"matrix_learning_rate": matrix_rate, "vector_learning_rate": vector_rate}
        return {"gradient_norm": self.gradient_norm, **rates}

    def _keep(self, done: int, log: RunLog | None, *, stopping: bool) -> None:
        """Write the checkpoint and the sample grid, if it is time for them after `done` steps."""
        last = done == self.loop.steps

        def due(every: int) -> bool:
            return bool(every) and (last or done % every == 0)

        if stopping or due(self.loop.checkpoint_every):
            self.save(done, keep=due(self.loop.keep_every))
        if due(self.loop.sample_every):
            self._draw(done, log)

    def save(self, done: int, *, keep: bool = False) -> None:
        """Write checkpoint.pt after `done` steps, with `keep` a copy that stays; every process must call this."""
        state = gathered_state(done, self.network, self.average, self.optimizers)
        if self.processes.is_first:
            path = self.loop.output / CHECKPOINT
            save_checkpoint(path, state)
            if keep:
                keep_checkpoint(path, done)

    def _draw(self, done: int, log: RunLog | None) -> None:
        self.average.gather()
        if log is None:
            return
        self.average.network.to(self.device)
        picture = self.sample_grid(done)
        if self.average.is_sharded:
            self.average.network.cpu()
        if picture is not None:
            log.picture(done, picture)

    def _report(self) -> None:
        from training.report import write_report  # it plots, which no step needs

        print(f"the report is {write_report(self.loop.output)}", flush=True)

    def resume(self) -> int:
        """Load the last checkpoint, if there is one, and say at which step to go on.

        Raises CheckpointMismatch for one of another run.
        """
        path = self.loop.output / CHECKPOINT
        state = load_checkpoint(path)
        if state is None:
            return 0
        refuse_mismatch(state, path, self.network, self.loop)
        restore(state, self.network, self.average, self.optimizers)
        return int(state["step"])
