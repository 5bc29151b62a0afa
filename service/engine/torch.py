"""The PyTorch backend: the networks as they are, from safetensors; nothing is unpickled."""

from __future__ import annotations

from pathlib import Path

import torch

from service.artifacts import UNET_WEIGHTS, VAE_WEIGHTS, Manifest
from service.denoising import Array, LatentBatch, StepRows
from service.engine.base import EngineInfo, EngineLimits
from service.engine.latent_engine import LatentEngine
from service.errors import ArtifactError
from service.model.autoencoder import Autoencoder
from service.model.checkpoint import load_strictly, read_state
from service.model.primitives import TorchPrimitives
from service.model.registry import build_autoencoder, build_unet
from service.model.unet import MoebiusUNet
from service.probe import check_probe
from service.settings import Settings


class TorchEngine(LatentEngine):
    """A model of the store on PyTorch. The files must have been verified (artifacts.verify).

    `ArtifactError` if the weights don't fit the networks or the device answers wrong numbers.
    """

    def __init__(self, folder: Path, manifest: Manifest, settings: Settings) -> None:
        device = _choose_device(settings.device)
        precision = _choose_precision(settings.precision, device)
        if settings.threads and device == "cpu":
            torch.set_num_threads(settings.threads)
        super().__init__(
            EngineInfo.of(manifest, backend="torch", device=device, precision=precision),
            EngineLimits.up_to(settings.max_batch),
            manifest.latent_downscale,
        )
        unet, autoencoder = load_networks(folder, manifest)
        self._networks = TorchPrimitives(unet, autoencoder, device=device, precision=precision)
        check_probe(manifest.probe, self, manifest.shape, precision=precision)

    def vae_encode(self, images: Array) -> Array:
        """Latents [N, 4, h, w] of images [N, 3, s, s] in [-1, 1]."""
        return self._networks.vae_encode(images)

    def advance(self, on_device: LatentBatch, rows: StepRows) -> LatentBatch:
        """The batch after a step."""
        return self._networks.denoise_step(on_device, rows)

    def vae_decode(self, latents: Array) -> Array:
        """Images [N, 3, s, s] of latents [N, 4, h, w]."""
        return self._networks.vae_decode(latents)

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


def _choose_precision(wanted: str, device: str) -> str:
    if wanted != "auto":
        return wanted
    return "fp32" if device == "cpu" else "fp16"
