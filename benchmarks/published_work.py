"""What a guided step of the published network computes and moves, counted on shapes alone: no arithmetic is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.published_network import both_branches, published_unet
from service.model.config import UNetConfig


@dataclass(frozen=True, slots=True)
class Work:
    """Of one guided step: `flops`, two for each multiplication with its addition; `bytes`, what every operator reads
    and writes if it fetches its inputs and stores its outputs once, in fp32.
    """

    flops: float
    bytes: float


def guided_step_work(config: UNetConfig, samples: int) -> Work:
    """A step of `samples` pictures, both branches in full, in the published order."""
    traffic = _Traffic()
    with torch.device("meta"):
        network = published_unet(config).eval()
        side = config.sample_size
        sample = torch.empty(2 * samples, config.in_channels, side, side)
        timesteps = torch.zeros(2 * samples, dtype=torch.int64)
        tokens = both_branches(samples, config)
    with torch.no_grad(), FlopCounterMode(display=False) as flops, traffic:
        network(sample, timesteps, tokens)
    return Work(float(flops.get_total_flops()), float(traffic.bytes))


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes of the tensors that go into operators and come out of them; a view moves nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = {
                id(leaf): leaf for leaf in tree_leaves((args, kwargs, output)) if isinstance(leaf, Tensor)
            }
            self.bytes += sum(leaf.numel() * leaf.element_size() for leaf in tensors.values())
        return output
