"""The autoencoder that latents belong to: frozen, from a training run or from a published folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from service.model.autoencoder import Autoencoder
from service.model.registry import CONFIG_FILE, import_autoencoder
from training.checkpoints import averaged_autoencoder
from training.errors import DataError


def frozen_autoencoder(folder: Path) -> Autoencoder:
    """The averaged autoencoder of a training run's folder, or an `AutoencoderKL` of diffusers' format.

    Raises DataError when the folder is neither, or its weights do not fit its configuration.
    """
    if (folder / "checkpoint.pt").exists():
        return averaged_autoencoder(folder).requires_grad_(requires_grad=False)
    if not (folder / CONFIG_FILE).exists():
        raise DataError(
            f"there is no autoencoder in {folder}: give the folder of an autoencoder's training (checkpoint.pt), "
            f"or one of diffusers' format ({CONFIG_FILE} and diffusion_pytorch_model.safetensors or .bin)"
        )
    try:
        return import_autoencoder(folder).requires_grad_(requires_grad=False)
    except (ValueError, FileNotFoundError) as error:
        raise DataError(f"the autoencoder in {folder} can't be used: {error}") from error


def weights_digest(autoencoder: Autoencoder) -> str:
    """SHA-256 of all weights and statistics, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(autoencoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
