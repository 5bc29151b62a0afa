"""Runs the fused position kernel in Triton's interpreter beside TiledPositions, and prints the errors as JSON.

A process of its own: the interpreter is chosen by TRITON_INTERPRET before Triton is first imported.
"""

from __future__ import annotations

import json
import sys

import torch

from service.model.inference.positions import TiledPositions
from service.model.inference.triton_positions import FusedPositions
from tests.unit.model.inference.position_cases import CASES, Case


def relative_error(case: Case) -> float:
    """Norm of the difference / norm of what TiledPositions computes in fp32."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(case.keys, case.kernel, case.kernel, generator=generator)
    q = torch.randn(case.batch, case.side**2, case.heads, case.keys, generator=generator)
    v = torch.randn(case.batch, case.side**2, case.values, generator=generator)
    expected = TiledPositions.of(weight, case.side)(q, v)
    dtype = getattr(torch, case.dtype)
    found = FusedPositions.of(weight.to(dtype), case.side)(q.to(dtype), v.to(dtype))
    assert found.shape == expected.shape
    assert found.dtype == dtype
    return float((found.float() - expected).norm() / expected.norm())


if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: relative_error(case) for name, case in CASES.items()}))
