"""The PyTorch backend: the networks in their inference form, from safetensors; nothing is unpickled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from service.artifacts import UNET_WEIGHTS, VAE_WEIGHTS, Manifest
from service.denoising import Array, LatentBatch, StepCoefficients, StepRows
from service.engine.base import EngineInfo, EngineLimits
from service.engine.latent_engine import LatentEngine
from service.engine.torch_graphs import CudaRecorder, StepGraphs
from service.errors import ArtifactError
from service.model.autoencoder import Autoencoder
from service.model.checkpoint import load_strictly, read_state
from service.model.primitives import DeviceBatch, TorchPrimitives
from service.model.registry import build_autoencoder, build_unet
from service.model.unet import MoebiusUNet
from service.probe import check_probe
from service.settings import Settings

GRAPHS_OF_EVERY_SIZE_UP_TO = 8  # samples; larger batches keep a device busy while most kernels are launched
BF16_INSTRUCTIONS = (
    "amx_bf16",
    "avx512_bf16",
)  # without them bf16 is computed in fp32, slower than fp32 itself


class TorchEngine(LatentEngine):
    """A model of the store on PyTorch. The files must have been verified (artifacts.verify).

    `ArtifactError` if the weights don't fit the networks or the device answers wrong numbers.
    """

    def __init__(self, folder: Path, manifest: Manifest, settings: Settings) -> None:
        device = _choose_device(settings.device)
        precision = choose_precision(settings.precision, device, cpu_capabilities())
        if settings.threads and device == "cpu":
            torch.set_num_threads(settings.threads)
        super().__init__(
            EngineInfo.of(manifest, backend="torch", device=device, precision=precision),
            EngineLimits.up_to(settings.max_batch),
            manifest.latent_downscale,
        )
        if precision == "fp32":
            torch.backends.cudnn.allow_tf32 = (
                False  # of convolutions, where PyTorch allows it if nobody objects
            )
        unet, autoencoder = load_networks(folder, manifest)
        self._networks = TorchPrimitives(unet, autoencoder, device=device, precision=precision)
        self._steps = StepGraphs(self._networks.step, CudaRecorder(self._networks.device))
        check_probe(manifest.probe, self, manifest.shape, precision=precision)

    def vae_encode(self, images: Array) -> Array:
        """Latents [N, 4, h, w] of images [N, 3, s, s] in [-1, 1]."""
        return self._networks.vae_encode(images)

    def place(self, batch: LatentBatch) -> DeviceBatch:
        """The batch on the device."""
        return self._networks.place(batch)

    def advance(self, on_device: DeviceBatch, rows: StepRows) -> DeviceBatch:
        """The batch after a step, when the device has finished it: so its time is known, and its errors are its own."""
        x, clean = self._steps(**self._networks.step_inputs(on_device, rows))
        self._networks.wait()
        return DeviceBatch(x, clean, on_device.condition)

    def fetch(self, on_device: DeviceBatch) -> LatentBatch:
        """The batch on the host."""
        return self._networks.fetch(on_device)

    def vae_decode(self, latents: Array) -> Array:
        """Images [N, 3, s, s] of latents [N, 4, h, w]."""
        return self._networks.vae_decode(latents)

    def warmup(self) -> None:
        """Run the batch sizes once, the largest first, and on a GPU record their steps."""
        super().warmup()
        if self._networks.device.type == "cuda":
            self._steps.record_all(self._examples())

    def _examples(self) -> Iterator[Mapping[str, Tensor]]:
        """Inputs of a step of each size that is worth a graph, the largest first: all samples guided, or none."""
        every = range(1, min(GRAPHS_OF_EVERY_SIZE_UP_TO, self._largest_batch) + 1)
        guidances = (1.0,) if self.info.is_distilled else (2.0, 1.0)
        for samples in sorted({*every, *self.limits.batch_sizes}, reverse=True):
            x = np.zeros((samples, *self.latent_shape), np.float32)
            condition = np.zeros((samples, 1 + len(x[0]), *x.shape[2:]), np.float32)
            batch = self.place(LatentBatch(x, x, condition))
            for guidance in guidances:
                rows = StepRows.of([StepCoefficients(0, 1.0, 0.0, guidance)] * samples)
                yield self._networks.step_inputs(batch, rows)

    def memory_bytes(self) -> dict[str, int]:
        """What tensors hold on the GPU, and what PyTorch keeps for them; empty on a CPU."""
        device = self._networks.device
        if device.type != "cuda":
            return {}
        return {
            "allocated": torch.cuda.memory_allocated(device),
            "reserved": torch.cuda.memory_reserved(device),
        }


def load_networks(folder: Path, manifest: Manifest) -> tuple[MoebiusUNet, Autoencoder]:
    """The networks of a stored model on the CPU. `ArtifactError` if the weights don't fit the manifest."""
    try:
        unet = build_unet(manifest.config["unet"])
        autoencoder = build_autoencoder(manifest.config["autoencoder"])
        load_strictly(unet, read_state(folder / UNET_WEIGHTS))
        load_strictly(autoencoder, read_state(folder / VAE_WEIGHTS))
    except (ValueError, FileNotFoundError) as error:
        raise ArtifactError(
            f"The weights in {folder} do not fit the networks that its manifest describes: {error}. "
            "Fetch or export the model again."
        ) from error
    return unet, autoencoder


def _choose_device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ArtifactError(
            f"Device {wanted} was asked for, but PyTorch sees no GPU. Use --device cpu or auto."
        )
    return wanted


def choose_precision(wanted: str, device: str, cpu: Mapping[str, object]) -> str:
    """The wanted precision, or for "auto" the fastest: fp16 on GPUs, bf16 on CPUs that multiply it (`cpu`, what this
    one is capable of, as torch.cpu.get_capabilities tells), fp32 on all others.
    """
    if wanted != "auto":
        return wanted
    if device != "cpu":
        return "fp16"
    return "bf16" if any(cpu.get(instruction) for instruction in BF16_INSTRUCTIONS) else "fp32"


def cpu_capabilities() -> Mapping[str, object]:
    """What PyTorch tells of this CPU; nothing where it is too old to tell."""
    tell = getattr(torch.cpu, "get_capabilities", dict)
    return dict(tell())
