"""BatchNorm in training: statistics frozen, or the same over all processes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from training.errors import RecipeError


def freeze_statistics(network: nn.Module) -> None:
    """Let every BatchNorm use its running statistics and leave them as they are; its gain and bias still train."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def synchronise_statistics(network: nn.Module, device: torch.device) -> None:
    """Let every BatchNorm of several processes use the statistics of the whole batch, in place.

    Raises RecipeError on a CPU: SyncBatchNorm exchanges them between GPUs only.
    """
    if not any(isinstance(module, _BatchNorm) for module in network.modules()):
        return
    if device.type != "cuda":
        raise RecipeError(
            "several processes without GPUs can't share BatchNorm statistics: "
            "set frozen_batch_norm: true, or run one process"
        )
    nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
