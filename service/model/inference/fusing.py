"""Puts the fused kernel for large maps into an inference form on a GPU, once it has been seen to agree there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from service.model.inference.casting import CastUNet
from service.model.inference.lambda_layers import FoldedLocalLambda
from service.model.inference.parts import rebuilt
from service.model.inference.positions import DENSE_SIDE, ConvolvedPositions, Positions, TiledPositions

logger = logging.getLogger(__name__)

MakePositions = Callable[[Tensor, int], Positions]  # from filters [k, kernel, kernel] and the side of a map

# Norm of the difference to what is replaced / norm. Each rounds its scores to its own precision, 2^-11 or 2^-8.
TOLERANCES = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}


@torch.no_grad()
def with_fused_positions(network: CastUNet, device: torch.device) -> CastUNet:
    """The network on its device, with the position terms of large maps in one kernel each where that can be had.

    Where the kernel can't be built, or answers other numbers, the network stays as it is and a warning says why.
    """
    make = fused_form() if device.type == "cuda" else None
    if make is None:
        return network
    try:
        return rebuilt(network, lambda part: _fused(part, make))
    except (
        Exception
    ) as error:  # compiler, driver and kernel have errors of their own; none need stop the service
        logger.warning("no fused kernel for position terms", extra={"reason": repr(error)})
        return network


def fused_form() -> MakePositions | None:
    """What makes a fused position term; None without Triton, which PyTorch's CUDA builds bring along."""
    if find_spec("triton") is None:
        return None
    from service.model.inference.triton_positions import FusedPositions

    return FusedPositions.of


def _fused(part: Any, make: MakePositions) -> Any:
    """The part, a Local-lambda of a large map with its fused form."""
    if not isinstance(part, FoldedLocalLambda):
        return part
    positions = part.positions
    if not isinstance(positions, TiledPositions | ConvolvedPositions) or positions.side <= DENSE_SIDE:
        return part
    weight, count = positions.weight, positions.side**2
    fused = make(weight, positions.side)
    q = torch.randn(1, count, part.heads, len(weight)).to(weight)
    v = torch.randn(1, count, len(weight)).to(weight)
    _check_agrees(fused, positions, q, v)
    return replace(part, positions=fused)


def _check_agrees(fused: Positions, replaced: Positions, q: Tensor, v: Tensor) -> None:
    """`ArithmeticError` if the two differ on queries [B, n, h, k] and values [B, n, v]."""
    found, expected = fused(q, v).float(), replaced(q, v).float()
    error = float((found - expected).norm() / expected.norm())
    if not error <= TOLERANCES[q.dtype]:
        raise ArithmeticError(
            f"the fused kernel differs by {error:.2g} of the norm, {TOLERANCES[q.dtype]:g} is allowed"
        )
