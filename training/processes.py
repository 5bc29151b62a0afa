"""The processes of one run and what they share: who I am, my rows of a batch, sums over all, the wrapped network.

`accelerate` finds the processes, whether it, torchrun or nobody launched them. FSDP 2 is chosen by its
configuration (`accelerate launch --use_fsdp --fsdp_version 2`, or a configuration file that says so).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from accelerate import Accelerator
from accelerate.utils import FullyShardedDataParallelPlugin, convert_to_fp32
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel

from training.errors import RecipeError
from training.loop_recipe import LoopRecipe
from training.sharding import shard_network


class Processes:
    """One process among all of a run. Raises RecipeError when the batch does not divide into equal parts."""

    def __init__(self, recipe: LoopRecipe) -> None:
        # accelerate holds one precision for the life of a process; the jobs of a recipe's stages may differ in it.
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no")
        self.mixed_precision = recipe.mixed_precision
        self.count: int = self.accelerator.num_processes
        self.rank: int = self.accelerator.process_index
        self.device: torch.device = self.accelerator.device
        self.is_first = self.rank == 0
        self.batch, self.accumulate = recipe.batch, recipe.accumulate
        if recipe.batch % (self.count * recipe.accumulate):
            raise RecipeError(
                f"batch must be a multiple of {self.count} processes x {recipe.accumulate} micro-batches "
                f"(accumulate), not {recipe.batch}"
            )

    def rows(self, micro_batch: int) -> slice:
        """The rows of the global batch that this process works on in one of its micro-batches."""
        size = self.batch // (self.count * self.accumulate)
        start = (self.rank * self.accumulate + micro_batch) * size
        return slice(start, start + size)

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over all processes of a tensor of the same shape on each; every process must call this."""
        if self.count == 1:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total / self.count

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set on any process; every process must call this."""
        if self.count == 1:
            return flag
        return bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0)

    def say(self, text: str) -> None:
        """Print on the first process alone."""
        if self.is_first:
            print(text, flush=True)

    def autocast(self) -> AbstractContextManager[None]:
        """The recipe's precision for what runs inside: weights stay fp32, products are bf16 where it says so."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision == "bf16")

    def wrap(self, module: nn.Module) -> WrappedModule:
        """`module` as DDP or FSDP 2 wants it, on this process's device, in the recipe's precision."""
        module.to(self.device)
        plugin = sharding_plugin()
        if plugin is not None:
            shard_network(module, self.device.type, reshard=plugin.reshard_after_forward)
            return WrappedModule(module, self)
        prepared: nn.Module = self.accelerator.prepare_model(module)
        if isinstance(prepared, DistributedDataParallel):
            # Buffers are equal on all processes without a broadcast: statistics are frozen or synchronised.
            prepared.broadcast_buffers = False
        return WrappedModule(prepared, self)


class WrappedModule(nn.Module):
    """A module, as DDP or FSDP 2 wrapped it, under autocast: what it returns is fp32, and so are gradients."""

    def __init__(self, module: nn.Module, processes: Processes) -> None:
        super().__init__()
        self.module, self.processes = module, processes

    def forward(self, *arguments: object) -> object:
        """What the module makes of the arguments."""
        with self.processes.autocast():
            outputs = self.module(*arguments)
        return convert_to_fp32(outputs)

    @contextmanager
    def gradients_kept_local(self, *, local: bool) -> Iterator[None]:
        """Put off the exchange of gradients when `local`: all but a step's last micro-batch want that."""
        if not local:
            yield
        elif isinstance(self.module, FSDPModule):
            self.module.set_requires_gradient_sync(requires_gradient_sync=False)
            try:
                yield
            finally:
                self.module.set_requires_gradient_sync(requires_gradient_sync=True)
        else:
            with self.processes.accelerator.no_sync(self.module):
                yield


def sharding_plugin() -> FullyShardedDataParallelPlugin | None:
    """What accelerate's configuration says of FSDP, or None without it. Raises RecipeError for version 1."""
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return None
    plugin = FullyShardedDataParallelPlugin()
    if plugin.fsdp_version != 2:
        raise RecipeError("FSDP 1 is configured and not supported: use --fsdp_version 2 (fsdp_version: 2)")
    return plugin
