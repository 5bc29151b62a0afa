"""Which of a backend's errors say that the device has no memory left: one place for all backends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from service.engine.base import DeviceOutOfMemory

# Neither runtime gives the case a type of its own everywhere: only PyTorch's CUDA allocator does, and its message
# is among these. ONNX Runtime raises what it raises for any failing node.
MESSAGES = re.compile(
    r"out of memory"  # PyTorch: "CUDA out of memory", "CUDA error: out of memory"; ONNX Runtime: "CUDA failure 2"
    r"|(CUBLAS|CUDNN)_STATUS_\w*ALLOC(ATION)?_FAILED"
    r"|Failed to allocate memory"  # ONNX Runtime's arena, on any device
    r"|is smaller than requested bytes"  # the same, where a limit was set
    r"|DefaultCPUAllocator"  # PyTorch: "can't allocate memory", "not enough memory"
    r"|bad_alloc|bad allocation",  # C++
    re.IGNORECASE,
)


@contextmanager
def device_memory() -> Iterator[None]:
    """Raise `DeviceOutOfMemory` for a backend's own error of that meaning; let any other pass."""
    try:
        yield
    except DeviceOutOfMemory:
        raise
    except Exception as error:
        if not says_out_of_memory(error):
            raise
        raise DeviceOutOfMemory(f"The device has no memory for this batch: {error}") from error


def says_out_of_memory(error: Exception) -> bool:
    """Whether a backend's error means that."""
    return isinstance(error, MemoryError) or MESSAGES.search(str(error)) is not None
