"""The ONNX Runtime backend: three graphs of a model on the CPU or on a CUDA device. Needs no torch."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import onnxruntime

from service.artifacts import UNET_GRAPH, VAE_DECODER_GRAPH, VAE_ENCODER_GRAPH, Manifest
from service.denoising import Array, LatentBatch, StepRows, graph_inputs
from service.engine.base import EngineInfo, EngineLimits
from service.engine.latent_engine import LatentEngine
from service.errors import ArtifactError
from service.probe import check_probe
from service.settings import Settings

PRECISION = "fp32"  # weights stored in half precision are cast when the graphs are loaded
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


class OnnxEngine(LatentEngine):
    """A model of the store on ONNX Runtime. The files must have been verified (artifacts.verify).

    `ArtifactError` if the graphs can't be loaded, the device is not there or it answers wrong numbers.
    """

    def __init__(self, folder: Path, manifest: Manifest, settings: Settings) -> None:
        device = _choose_device(settings.device)
        _require_precision(settings.precision)
        super().__init__(
            EngineInfo.of(manifest, backend="onnxruntime", device=device, precision=PRECISION),
            EngineLimits.up_to(settings.max_batch),
            manifest.latent_downscale,
        )
        options = _session_options(settings.threads)
        self._unet, self._encoder, self._decoder = (
            _open_session(folder / graph, options, device)
            for graph in (UNET_GRAPH, VAE_ENCODER_GRAPH, VAE_DECODER_GRAPH)
        )
        check_probe(manifest.probe, self, manifest.shape, precision=PRECISION)

    def vae_encode(self, images: Array) -> Array:
        """Latents [N, 4, h, w] of images [N, 3, s, s] in [-1, 1]."""
        return _run(self._encoder, images=images)

    def advance(self, on_device: LatentBatch, rows: StepRows) -> LatentBatch:
        """The batch after a step."""
        x, clean = self._unet.run(None, graph_inputs(on_device, rows))
        return LatentBatch(x, clean, on_device.condition)

    def vae_decode(self, latents: Array) -> Array:
        """Images [N, 3, s, s] of latents [N, 4, h, w]."""
        return _run(self._decoder, latents=latents)


def _run(session: Any, **inputs: Array) -> Array:
    output: Array = session.run(None, inputs)[0]
    return output


def _session_options(threads: int) -> Any:
    """All graph optimizations; threads that sleep when there is nothing to do, so that an idle worker costs
    nothing.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads or _usable_cores()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open_session(path: Path, options: Any, device: str) -> Any:
    try:
        session = onnxruntime.InferenceSession(path, options, providers=_providers(device))
    except Exception as error:  # the runtime's exceptions share no other base
        raise ArtifactError(
            f"ONNX Runtime {onnxruntime.__version__} can't load {path}: {error}. Upgrade onnxruntime, or "
            "fetch or export the model again."
        ) from error
    if device != "cpu" and CUDA not in session.get_providers():
        raise ArtifactError(
            f"ONNX Runtime could not use {device}, though its CUDA provider is installed: see its log "
            "above. Check the driver, or use --device cpu."
        )
    return session


def _providers(device: str) -> list[Any]:
    if device == "cpu":
        return [CPU]
    index = int(device.partition(":")[2] or 0)
    return [(CUDA, {"device_id": index}), CPU]


def _choose_device(wanted: str) -> str:
    has_provider = CUDA in onnxruntime.get_available_providers()
    if has_provider and wanted != "cpu":
        onnxruntime.preload_dlls()  # the CUDA libraries that pip installed beside the runtime
    if wanted == "auto":
        return "cuda" if has_provider and _has_cuda_device() else "cpu"
    if wanted != "cpu" and not has_provider:
        raise ArtifactError(
            f"Device {wanted} was asked for, but this onnxruntime has only "
            f"{onnxruntime.get_available_providers()}. Install moebius[gpu] instead of moebius[cpu], "
            "or use --device cpu."
        )
    return wanted


def _has_cuda_device() -> bool:
    """Whether the CUDA driver is there and sees a device; the provider is listed even where none is."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def _require_precision(wanted: str) -> None:
    if wanted not in {"auto", PRECISION}:
        raise ArtifactError(
            f"The onnxruntime backend computes in {PRECISION}, {wanted} was asked for. Use --precision "
            f"{PRECISION}, or --backend torch."
        )
