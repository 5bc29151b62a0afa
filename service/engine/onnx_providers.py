"""Which execution provider of ONNX Runtime computes, on which device and in which precision, and its options."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import onnxruntime

from service.errors import ArtifactError
from service.settings import Settings

ProviderName = Literal["cpu", "cuda", "tensorrt", "openvino"]
Options = dict[str, str]
Shapes = Mapping[str, tuple[int, ...]]

RUNTIME_NAMES: Mapping[ProviderName, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
ON_GPUS: tuple[ProviderName, ...] = ("cuda", "tensorrt")
COMPILERS: tuple[ProviderName, ...] = (
    "tensorrt",
    "openvino",
)  # they make kernels of a whole graph, and keep them
PRECISIONS = ("fp32", "fp16")
DISTRIBUTIONS: Mapping[ProviderName, str] = {
    "cpu": "moebius[cpu]",
    "cuda": "moebius[gpu] instead of moebius[cpu]",
    "tensorrt": "moebius[gpu] instead of moebius[cpu], and tensorrt",
    "openvino": "onnxruntime-openvino instead of onnxruntime",
}


class InputRange(NamedTuple):
    """The shapes of a graph's inputs in the smallest and in the largest batch."""

    smallest: Shapes
    largest: Shapes


@dataclass(frozen=True, slots=True)
class Provider:
    """What computes: `name`, the `device` as settings write it (cpu, cuda, cuda:N), and the U-Net's `precision`."""

    name: ProviderName
    device: str
    precision: str

    @classmethod
    def chosen_by(cls, settings: Settings) -> Provider:
        """What the settings ask for. `ArtifactError` if it is not installed, not there, or contradicts itself."""
        name = settings.provider
        if name == "auto":
            name = "cuda" if _is_on_gpu(settings.device) else "cpu"
        device = ("cuda" if name in ON_GPUS else "cpu") if settings.device == "auto" else settings.device
        _require_fit(name, device)
        _require_installed(name, device)
        return cls(name, device, _precision(settings.precision, name))

    @property
    def is_on_gpu(self) -> bool:
        """Whether batches live in a GPU's memory."""
        return self.name in ON_GPUS

    @property
    def compiles(self) -> bool:
        """Whether it makes a program of the graph, which the runtime can't write as a graph again."""
        return self.name in COMPILERS

    @property
    def captures(self) -> bool:
        """Whether steps are captured as CUDA graphs."""
        return self.name == "cuda"

    @property
    def backend(self) -> str:
        """As EngineInfo names it; the provider is told where it is not the device's usual one."""
        return f"onnxruntime/{self.name}" if self.compiles else "onnxruntime"

    @property
    def device_index(self) -> int:
        """The number of its GPU."""
        return int(self.device.partition(":")[2] or 0)

    @property
    def memory(self) -> tuple[str, int]:
        """Device type and number of its memory, as the runtime's tensors name them."""
        return ("cuda", self.device_index) if self.is_on_gpu else ("cpu", 0)

    def with_options(
        self, *, programs: Path, threads: int, inputs: InputRange, captures: bool
    ) -> list[tuple[str, Options]]:
        """The runtime's list of providers, the preferred first; each takes what the one before it leaves.

        `programs` is the folder where a provider that compiles keeps them; `captures`: CUDA graphs are used.
        """
        index, cpu = str(self.device_index), (RUNTIME_NAMES["cpu"], Options())
        if self.name == "cpu":
            return [cpu]
        if self.name == "openvino":
            return [(RUNTIME_NAMES["openvino"], _openvino_options(programs, threads)), cpu]
        cuda = (RUNTIME_NAMES["cuda"], _cuda_options(index, self.precision, captures=captures))
        if self.name == "cuda":
            return [cuda, cpu]
        tensorrt = (RUNTIME_NAMES["tensorrt"], _tensorrt_options(index, self.precision, programs, inputs))
        return [tensorrt, cuda, cpu]


def _cuda_options(index: str, precision: str, *, captures: bool) -> Options:
    """Memory grows by what is asked for; kernels are chosen without a search, as batches change their size."""
    return {
        "device_id": index,
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0" if precision == "fp32" else "1",
        "enable_cuda_graph": "1" if captures else "0",
    }


def _tensorrt_options(index: str, precision: str, programs: Path, inputs: InputRange) -> Options:
    """An engine takes minutes to build: one for all batch sizes, which is kept, with the timings of its kernels."""
    return {
        "device_id": index,
        "trt_fp16_enable": "0" if precision == "fp32" else "1",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(programs),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(programs),
        "trt_profile_min_shapes": _shapes_text(inputs.smallest),
        "trt_profile_opt_shapes": _shapes_text(inputs.largest),
        "trt_profile_max_shapes": _shapes_text(inputs.largest),
    }


def _shapes_text(shapes: Shapes) -> str:
    return ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())


def _openvino_options(programs: Path, threads: int) -> Options:
    """In fp32: left to itself it would take half precision where the CPU has it."""
    return {
        "device_type": "CPU",
        "precision": "FP32",
        "num_of_threads": str(threads),
        "cache_dir": str(programs),
    }


def _is_on_gpu(device: str) -> bool:
    if device != "auto":
        return device != "cpu"
    return RUNTIME_NAMES["cuda"] in onnxruntime.get_available_providers() and _has_cuda_device()


def _has_cuda_device() -> bool:
    """Whether the CUDA driver is there and sees a device; the provider is listed even where none is."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def _require_fit(name: ProviderName, device: str) -> None:
    if (device == "cpu") == (name in ON_GPUS):
        raise ArtifactError(
            f"Provider {name} does not compute on device {device}. Use --provider auto, or name the provider's own "
            f"device: --device {'cuda' if name in ON_GPUS else 'cpu'}."
        )


def _require_installed(name: ProviderName, device: str) -> None:
    installed = onnxruntime.get_available_providers()
    if RUNTIME_NAMES[name] not in installed:
        raise ArtifactError(
            f"Device {device} with provider {name} was asked for, but this onnxruntime has only {installed}. Install "
            f"{DISTRIBUTIONS[name]}, or use --device cpu --provider cpu."
        )
    if name in ON_GPUS:
        onnxruntime.preload_dlls()  # the CUDA libraries that pip installed beside the runtime


def _precision(wanted: str, name: ProviderName) -> str:
    if wanted == "auto":
        return "fp16" if name in ON_GPUS else "fp32"
    if wanted not in PRECISIONS:
        raise ArtifactError(
            f"The onnxruntime backend computes in {' or '.join(PRECISIONS)}, {wanted} was asked for. Use --precision "
            "auto, or --backend torch."
        )
    return wanted
