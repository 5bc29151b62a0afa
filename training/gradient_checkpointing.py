"""Gradient checkpointing: a block's activations are computed again in the backward pass instead of being kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from training.errors import RecipeError
from training.sharding import repeated_blocks


def checkpoint_blocks(network: nn.Module) -> None:
    """Checkpoint every repeated block of the network. Raises RecipeError when it has none."""
    blocks = repeated_blocks(network)
    if not blocks:
        raise RecipeError(
            f"gradient_checkpointing must be false for {type(network).__name__}: it has no repeated blocks"
        )
    for block in blocks:
        _checkpoint(block)


def _checkpoint(block: nn.Module) -> None:
    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), StatisticsUntouched(block)

    # The instance's own forward: names in the state dict stay as they are, and hooks stay outside.
    forward: Callable[..., object] = block.forward
    block.forward = partial(
        checkpoint, forward, use_reentrant=False, preserve_rng_state=False, context_fn=contexts
    )


class StatisticsUntouched(AbstractContextManager[None]):
    """Lets every BatchNorm of the block update copies of its running statistics: a second forward must not count.

    It is entered anew for every gradient that is taken of one forward pass, as balancing takes several.
    """

    def __init__(self, block: nn.Module) -> None:
        self.block = block
        self.own: list[tuple[nn.Module, dict[str, Tensor]]] = []

    def __enter__(self) -> None:
        norms = [norm for norm in self.block.modules() if isinstance(norm, _BatchNorm) and norm.training]
        self.own = [(norm, dict(norm.named_buffers())) for norm in norms]
        for norm, buffers in self.own:
            for name, buffer in buffers.items():
                setattr(norm, name, buffer.clone())

    def __exit__(self, *_: object) -> None:
        for norm, buffers in self.own:
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
