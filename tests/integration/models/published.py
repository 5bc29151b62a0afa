"""Folders as published: a pickled U-Net, and an autoencoder with its configuration."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from service.model.config import AutoencoderKLConfig
from service.model.unet import MoebiusUNet
from service.model.vae import AutoencoderKL
from tests.small_model import UNET, fill

WEIGHTS = "diffusion_pytorch_model.bin"
TINY_VAE = AutoencoderKLConfig(channels=(8, 8, 8, 8), layers_per_level=1, norm_groups=4, scaling_factor=0.5)


def write_small_unet(folder: Path) -> None:
    """A network of random numbers, quick to export."""
    folder.mkdir(parents=True)
    torch.save(fill(MoebiusUNet(UNET)).state_dict(), folder / WEIGHTS)


def write_vae(folder: Path) -> None:
    """A small autoencoder of the Stable-Diffusion kind with random numbers."""
    folder.mkdir(parents=True)
    config = {
        "_class_name": "AutoencoderKL",
        "block_out_channels": list(TINY_VAE.channels),
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "latent_channels": 4,
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "scaling_factor": TINY_VAE.scaling_factor,
    }
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(fill(AutoencoderKL(TINY_VAE)).state_dict(), folder / WEIGHTS)
