"""A small model with random weights: the architecture of the real ones, cheap to export."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import TypeVar

import torch
from torch import nn

from service.artifacts import FewStepSampling, Manifest, load_manifest, save_manifest
from service.model.config import UNetConfig
from service.model.export import export_model
from service.model.nano_autoencoder import NanoAutoencoder, NanoAutoencoderConfig
from service.model.unet import MoebiusUNet

NAME = "small"
FEW_STEP_NAME = "small-4step"
FEW_STEP = FewStepSampling(timesteps=(999, 749, 499, 249), guidance_scale=2.5)
UNET = UNetConfig(
    sample_size=8, channels=(32, 64), layers_per_level=1, token_width=32, cross_width=16, position_kernel=5
)
AUTOENCODER = NanoAutoencoderConfig(width=16)

Network = TypeVar("Network", bound=nn.Module)


def fill(network: Network, seed: int = 0) -> Network:
    """Random weights and running statistics, so that no norm is an identity and no layer is zero."""
    generator = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    for name, tensor in state.items():
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(1 + 0.1 * noise.abs())
        elif name.endswith("weight") and tensor.ndim == 1:
            tensor.copy_(1 + 0.1 * noise)
        elif tensor.is_floating_point():
            fan_in = max(tensor[0].numel(), 1) if tensor.ndim > 1 else 100
            tensor.copy_(noise / fan_in**0.5)
    network.load_state_dict(state)
    return network.eval()


def small_unet() -> MoebiusUNet:
    """The U-Net, at 8 x 8 latents."""
    return fill(MoebiusUNet(UNET), seed=1)


def small_autoencoder() -> NanoAutoencoder:
    """The autoencoder, of pictures of 64 x 64."""
    return fill(NanoAutoencoder(AUTOENCODER), seed=2)


def export_small_model(store: Path, *, sampling: FewStepSampling | None = None) -> Manifest:
    """Export into `store` / NAME."""
    return export_model(
        small_unet(),
        small_autoencoder(),
        store / NAME,
        name=NAME,
        sampling=sampling,
        source="random numbers",
        licence="CC0-1.0",
        card="# A model of random numbers\n",
    )


def copy_as_few_step(model: Path, folder: Path) -> None:
    """Copy a model to `folder`, as one that was distilled: the same weights, sampled as FEW_STEP says."""
    copytree(model, folder)
    changes = {"name": folder.name, "prediction_type": "v_prediction", "sampling": FEW_STEP}
    save_manifest(load_manifest(folder).model_copy(update=changes), folder)
