"""What an optimised graph depends on besides the model: this machine's processor, GPU and driver, in words."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path

CPU_INFORMATION = Path("/proc/cpuinfo")
DRIVER_INFORMATION = Path("/proc/driver/nvidia/version")
LONGEST_NAME = 256


def describe_cpu() -> str:
    """Architecture, model and instruction sets: of these kernels and memory layouts are chosen."""
    known: dict[str, str] = {}
    if CPU_INFORMATION.exists():
        for line in CPU_INFORMATION.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            known.setdefault(name.strip(), value.strip())
    flags = known.get("flags") or known.get("Features", "")  # Features: as ARM kernels call them
    return " ".join(
        [platform.machine(), known.get("model name") or platform.processor(), *sorted(flags.split())]
    )


def describe_gpu(index: int) -> str:
    """Name of the GPU and version of the driver."""
    driver = DRIVER_INFORMATION.read_text(encoding="utf-8") if DRIVER_INFORMATION.exists() else ""
    return f"{_gpu_name(index)} {driver.strip()}"


def _gpu_name(index: int) -> str:
    name, device = ctypes.create_string_buffer(LONGEST_NAME), ctypes.c_int(0)
    cuda = ctypes.CDLL("libcuda.so.1")
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), index):
        return f"GPU {index}"
    cuda.cuDeviceGetName(name, LONGEST_NAME, device)
    return name.value.decode()
