"""Which engines a benchmark compares: backend, precision and device, and why one can't be measured here."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from service.engine.base import Engine
from service.engine.selection import open_engine
from service.settings import Settings

BACKENDS = ("onnxruntime", "torch", "dummy")
PRECISIONS = ("fp32", "fp16", "bf16")
PROVIDERS = ("auto", "cpu", "cuda", "tensorrt", "openvino")
DEVICES = ("cpu", "cuda")
BF16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")
NO_GPU = "no GPU"
NO_BF16 = "this CPU has no bf16 instructions"


class Computing(NamedTuple):
    """A backend, its precision, and what ONNX Runtime computes with."""

    backend: str
    precision: str = "fp32"
    provider: str = "auto"


DEFAULTS: Mapping[str, Sequence[Computing]] = {
    "cpu": (Computing("onnxruntime"), Computing("torch"), Computing("torch", "bf16")),
    "cuda": (
        Computing("onnxruntime"),
        Computing("onnxruntime", "fp16"),
        Computing("onnxruntime", "fp16", "tensorrt"),
        Computing("torch"),
        Computing("torch", "fp16"),
        Computing("torch", "bf16"),
    ),
}


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """A way to compute on a device; `is_default` if the command line did not name it."""

    backend: str
    precision: str
    device: str
    provider: str = "auto"
    is_default: bool = True

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"{self.computing}, {self.device}"

    @property
    def computing(self) -> str:
        """Its name without the device."""
        return " ".join([self.backend, self.precision, *([] if self.provider == "auto" else [self.provider])])

    def obstacle(self) -> str | None:
        """Why it is not measured here, as far as that is known before it is tried."""
        if self.device == "cuda" and not has_gpu():
            return NO_GPU
        if self.device == "cpu" and self.precision == "bf16" and self.is_default and not has_bf16():
            return NO_BF16
        return None

    def open(self, model: str, *, threads: int, max_batch: int, model_store: Path | None = None) -> Engine:
        """The engine, which steps up to `max_batch` crops at once. `ArtifactError` if it can't be had here."""
        settings = {
            "model": model,
            "backend": self.backend,
            "precision": self.precision,
            "provider": self.provider,
            "device": self.device,
            "threads": threads,
            "max_batch": max_batch,
        }
        return open_engine(
            Settings.model_validate(settings | ({"model_store": model_store} if model_store else {}))
        )


def add_choice_options(parser: ArgumentParser) -> None:
    """--backends and --devices."""
    parser.add_argument(
        "--backends",
        type=_backends,
        default=None,
        help="separated by commas, torch:bf16,onnxruntime:fp16:tensorrt say; left out, those that suit each device",
    )
    parser.add_argument("--devices", type=_devices, default=DEVICES, help="separated by commas: cpu, cuda")


def choices(
    backends: Sequence[Computing] | None,
    devices: Sequence[str],
    defaults: Mapping[str, Sequence[Computing]] = DEFAULTS,
) -> list[EngineChoice]:
    """The named backends, or those that suit it, on every device."""
    return [
        EngineChoice(one.backend, one.precision, device, one.provider, is_default=backends is None)
        for device in devices
        for one in (defaults[device] if backends is None else backends)
    ]


def has_gpu() -> bool:
    """Whether PyTorch sees one."""
    import torch

    return torch.cuda.is_available()


def has_bf16() -> bool:
    """Whether the CPU multiplies bf16 by itself, as the kernel tells it; without, it is emulated, and slow."""
    information = Path("/proc/cpuinfo")
    words = information.read_text(encoding="utf-8").split() if information.exists() else []
    return any(instruction in words for instruction in BF16_INSTRUCTIONS)


def _backends(text: str) -> tuple[Computing, ...]:
    return tuple(_computing(word.strip()) for word in text.split(","))


def _computing(word: str) -> Computing:
    parts = word.split(":")
    allowed = (BACKENDS, PRECISIONS, PROVIDERS)
    if len(parts) > len(allowed) or any(
        part not in names for part, names in zip(parts, allowed, strict=False)
    ):
        raise ArgumentTypeError(
            f"{word!r} is no backend: give {', '.join(BACKENDS)}, after a colon {', '.join(PRECISIONS)}, and after "
            f"another {', '.join(PROVIDERS)}"
        )
    return Computing(*parts)


def _devices(text: str) -> tuple[str, ...]:
    devices = tuple(word.strip() for word in text.split(","))
    if not set(devices) <= set(DEVICES):
        raise ArgumentTypeError(f"{text!r}: devices are {' and '.join(DEVICES)}")
    return devices
