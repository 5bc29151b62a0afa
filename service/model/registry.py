"""Builds networks from their JSON configurations, and reads the published layout of each.

The one place that knows which architectures there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from service.model.autoencoder import Autoencoder
from service.model.checkpoint import (
    UnreadableCheckpoint,
    load_strictly,
    modernize_attention_names,
    read_state,
)
from service.model.config import AutoencoderKLConfig, UNetConfig
from service.model.diffusers_config import autoencoder_config
from service.model.nano_autoencoder import NanoAutoencoder, NanoAutoencoderConfig
from service.model.published import infer_unet_config
from service.model.unet import MoebiusUNet
from service.model.vae import AutoencoderKL

CONFIG_FILE = "config.json"
WEIGHT_FILES = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")

_AUTOENCODERS: dict[str, Callable[[dict[str, Any]], Autoencoder]] = {
    "autoencoder_kl": lambda values: AutoencoderKL(AutoencoderKLConfig.from_dict(values)),
    "nano": lambda values: NanoAutoencoder(NanoAutoencoderConfig.from_dict(values)),
}


def build_unet(config: Mapping[str, Any]) -> MoebiusUNet:
    """Build a U-Net with fresh weights from `UNetConfig.to_dict()`. `ValueError` names a wrong field."""
    return MoebiusUNet(UNetConfig.from_dict(config))


def build_autoencoder(config: Mapping[str, Any]) -> Autoencoder:
    """Build an autoencoder with fresh weights; `config["type"]` says which. Errors as in `build_unet`."""
    kind = config.get("type")
    if kind not in _AUTOENCODERS:
        raise ValueError(f"type must be one of {sorted(_AUTOENCODERS)}, got {kind!r}")
    return _AUTOENCODERS[kind](dict(config))


def import_unet(folder: Path, config: UNetConfig | None = None) -> MoebiusUNet:
    """Read a published variant's folder, strictly; a configuration that is not given is read off the weights.

    Raises `CheckpointMismatch`, `UnreadableCheckpoint` (both `ValueError`) or `FileNotFoundError`.
    """
    state = read_state(_weights_in(folder))
    network = MoebiusUNet(config or infer_unet_config(state))
    load_strictly(network, state)
    return network.eval()


def import_autoencoder(folder: Path) -> AutoencoderKL:
    """Read a diffusers `AutoencoderKL` folder: `config.json` and weights. Errors as in `import_unet`."""
    path = folder / CONFIG_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableCheckpoint(f"{path} is not JSON: {error}") from error
    network = AutoencoderKL(autoencoder_config(values))
    load_strictly(network, modernize_attention_names(read_state(_weights_in(folder))))
    return network.eval()


def _weights_in(folder: Path) -> Path:
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} holds no weights: expected {' or '.join(WEIGHT_FILES)}")
