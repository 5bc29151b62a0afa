"""One line that says what a number was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def cpu_name() -> str:
    """The processor's name as the kernel tells it, or the machine's architecture."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hardware_line() -> str:
    """Processor, cores, load and Python: "X, 2 cores (load 0.1), Linux, Python 3.11.7"."""
    load = f" (load {os.getloadavg()[0]:.1f} at the start)" if hasattr(os, "getloadavg") else ""
    return (
        f"{cpu_name()}, {usable_cores()} cores{load}, {platform.system()}, Python {platform.python_version()}"
    )


def gpu_name() -> str:
    """The GPU that PyTorch takes first, or "none"."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
