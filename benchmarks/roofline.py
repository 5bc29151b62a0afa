"""What the device can do at most: operations a second of a large matrix product, bytes a second of a large copy.

Both are measured beside what is held against them, in the same process and rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
SIDES = {"cpu": 2048, "cuda": 8192}  # of the matrices: the largest that takes a fraction of a second
COPIED = {"cpu": 256 * 1024**2, "cuda": 1024**3}  # bytes, beyond any cache


@dataclass(frozen=True, slots=True)
class MatrixProduct:
    """Two square matrices in one precision on one device."""

    device: str
    precision: str

    @property
    def flops(self) -> float:
        """Of one product, two for each multiplication with its addition."""
        return 2.0 * SIDES[self.device] ** 3

    def task(self) -> Callable[[], object]:
        """One product. Fp32 on a GPU is fp32: no TF32, which is PyTorch's default for products."""
        side = SIDES[self.device]
        factors = torch.randn(2, side, side, device=self.device).to(DTYPES[self.precision])
        product = torch.empty_like(factors[0])
        return _settled(lambda: torch.mm(factors[0], factors[1], out=product), self.device)


@dataclass(frozen=True, slots=True)
class Copy:
    """A block of memory copied on one device."""

    device: str

    @property
    def bytes(self) -> float:
        """Of one copy: read and written."""
        return 2.0 * COPIED[self.device]

    def task(self) -> Callable[[], object]:
        """One copy."""
        source = torch.zeros(COPIED[self.device] // 4, device=self.device)
        target = torch.ones_like(source)
        return _settled(lambda: target.copy_(source), self.device)


def _settled(call: Callable[[], object], device: str) -> Callable[[], object]:
    """The call, returning when the device has finished it. Nothing is kept for gradients."""

    def settled() -> None:
        with torch.inference_mode():
            call()
        if device == "cuda":
            torch.cuda.synchronize()

    return settled
