"""FSDP 2: which modules are sharded together, and tensors between their sharded and their whole form."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def repeated_blocks(network: nn.Module) -> list[nn.Module]:
    """The members of the outermost module lists, in order: the levels of a U-Net, the layers of a transformer."""
    blocks: list[nn.Module] = []
    for child in network.children():
        blocks += list(child) if isinstance(child, nn.ModuleList) else repeated_blocks(child)
    return blocks


def shard_network(network: nn.Module, device_type: str, *, reshard: bool) -> None:
    """Shard every repeated block by itself and the rest with the root, over all processes, in place.

    With `reshard` a block's gathered weights are let go after its forward pass and gathered again for the backward.
    """
    mesh = init_device_mesh(device_type, (torch.distributed.get_world_size(),))
    for block in repeated_blocks(network):
        fully_shard(block, mesh=mesh, reshard_after_forward=reshard)
    fully_shard(network, mesh=mesh, reshard_after_forward=False)


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor gathered on every process, which all must call; any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def local_part(tensor: Tensor) -> Tensor:
    """What this process holds of a sharded tensor, sharing its memory; any other as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def sharded_like(tensor: Tensor, pattern: Tensor) -> Tensor:
    """`tensor`, whole and the same on every process, sharded as `pattern` is: no communication."""
    if not isinstance(pattern, DTensor):
        return tensor
    return distribute_tensor(tensor, pattern.device_mesh, pattern.placements, src_data_rank=None)
