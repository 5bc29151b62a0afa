"""How much memory one call takes: of the GPU as PyTorch counts it, else resident in this process (Linux).

PyTorch is imported where it counts alone: a process that does without should not be measured with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

MEBIBYTE = 1024 * 1024
STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
FORGET_THE_PEAK = "5"


@dataclass(frozen=True)
class CallMemory:
    """In MiB: the most that was held during a call, `whole`, and how much of it came with the call, `added`."""

    added: float
    whole: float


def memory_of_call(call: Callable[[], object], device: torch.device) -> CallMemory:
    """Memory while `call` runs on a device. Best in a process of its own, where nothing freed before is used again."""
    return _on_gpu(call, device) if device.type == "cuda" else resident_memory_of_call(call)


def _on_gpu(call: Callable[[], object], device: torch.device) -> CallMemory:
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    most = torch.cuda.max_memory_allocated(device)
    return CallMemory((most - before) / MEBIBYTE, most / MEBIBYTE)


def resident_memory_of_call(call: Callable[[], object]) -> CallMemory:
    """Of this process while `call` runs.

    Not by getrusage: its peak can't be set back, and begins with that of the process that started this one.
    """
    before = resident_mebibytes("VmRSS")
    CLEAR.write_text(FORGET_THE_PEAK, encoding="ascii")
    call()
    most = resident_mebibytes("VmHWM")
    return CallMemory(most - before, most)


def resident_mebibytes(field: str) -> float:
    """VmRSS, what this process holds now, or VmHWM, the most that it held, as the kernel tells it."""
    lines = STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))
