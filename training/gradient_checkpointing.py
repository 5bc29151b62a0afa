"""Gradient checkpointing: a block's activations are computed again in the backward pass instead of being kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import nn
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
        return nullcontext(), statistics_untouched(block)

    # The instance's own forward: names in the state dict stay as they are, and hooks stay outside.
    forward: Callable[..., object] = block.forward
    block.forward = partial(
        checkpoint, forward, use_reentrant=False, preserve_rng_state=False, context_fn=contexts
    )


@contextmanager
def statistics_untouched(block: nn.Module) -> Iterator[None]:
    """Let every BatchNorm of the block update copies of its running statistics: the second forward must not count."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm) and module.training]
    own = [(norm, dict(norm.named_buffers())) for norm in norms]
    for norm, buffers in own:
        for name, buffer in buffers.items():
            setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, buffers in own:
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
