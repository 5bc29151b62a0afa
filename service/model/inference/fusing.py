"""Puts the fused kernel for large maps into an inference form on a GPU, once it has been seen to agree there."""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch

from service.model.inference.casting import CastUNet
from service.model.inference.lambda_layers import FoldedLocalLambda
from service.model.inference.parts import rebuilt
from service.model.inference.positions import DENSE_SIDE, ConvolvedPositions, Positions, TiledPositions

logger = logging.getLogger(__name__)

# Norm of the difference to what is replaced / norm. Each rounds its scores to its own precision, 2^-11 or 2^-8.
TOLERANCES = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}


def with_fused_positions(network: CastUNet, device: torch.device) -> CastUNet:
    """The network on its device, with the position terms of large maps in one kernel each where that can be had.

    Where the kernel can't be built, or answers other numbers, the network stays as it is and a warning says why.
    """
    if device.type != "cuda" or find_spec("triton") is None:
        return network
    try:
        return rebuilt(network, _fused)
    except (
        Exception
    ) as error:  # compiler, driver and kernel each have errors of their own; none stops the service
        logger.warning("no fused kernel for position terms", extra={"reason": repr(error)})
        return network


def check_agrees(fused: Positions, replaced: Positions, q: torch.Tensor, v: torch.Tensor) -> None:
    """`ArithmeticError` if the two differ on queries [B, n, h, k] and values [B, n, v]."""
    found, expected = fused(q, v).float(), replaced(q, v).float()
    error = float((found - expected).norm() / expected.norm())
    if not error <= TOLERANCES[q.dtype]:
        raise ArithmeticError(
            f"the fused kernel differs by {error:.2g} of the norm, {TOLERANCES[q.dtype]:g} is allowed"
        )


def _fused(part: Any) -> Any:
    if not isinstance(part, FoldedLocalLambda):
        return part
    positions, heads = part.positions, part.heads
    if not isinstance(positions, TiledPositions | ConvolvedPositions) or positions.side <= DENSE_SIDE:
        return part
    from service.model.inference.triton_positions import FusedPositions  # needs triton

    weight, count = positions.weight, positions.side**2
    fused = FusedPositions.of(weight, positions.side)
    q = torch.randn(1, count, heads, len(weight)).to(weight)
    v = torch.randn(1, count, len(weight)).to(weight)
    check_agrees(fused, positions, q, v)
    return replace(part, positions=fused)
