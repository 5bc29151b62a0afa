"""Models of random weights in the sizes that there are: what they answer means nothing, what they take is real.

Exported once into a folder, by the exporter that all models go through, in a process of its own: exporting the
published size takes minutes and several times its memory.
"""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

import service
from service.artifacts import MANIFEST
from service.model.autoencoder import AutoencoderConfig
from service.model.config import FULL, NANO, TINY, AutoencoderKLConfig, UNetConfig
from service.model.export import export_model
from service.model.nano_autoencoder import NanoAutoencoderConfig
from service.model.registry import build_autoencoder
from service.model.unet import MoebiusUNet

SIZES: dict[str, tuple[UNetConfig, AutoencoderConfig]] = {
    "full": (FULL, AutoencoderKLConfig()),
    "nano": (NANO, NanoAutoencoderConfig()),
    "tiny": (TINY, NanoAutoencoderConfig(width=16)),
}
SPREAD = 0.1  # of what a fresh layer has at one: scales and variances of norms

Network = TypeVar("Network", bound=nn.Module)


def random_model(size: str, store: Path) -> Path:
    """The folder of the model of a size in `store`, exported if it is not there yet, or was by another exporter."""
    prefix = f"random-{size}"
    folder = store / f"{prefix}-{exporter_digest()[:12]}"
    if not (folder / MANIFEST).is_file():
        for outdated in store.glob(f"{prefix}-*"):
            shutil.rmtree(outdated)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(export_random_model, size, folder).result()
    return folder


def exporter_digest() -> str:
    """Of the code that makes an exported model what it is."""
    package = Path(service.__file__).parent
    sources = sorted((package / "model").rglob("*.py"))
    digest = hashlib.sha256()
    for source in (*sources, package / "artifacts.py", package / "probe.py", Path(__file__)):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def export_random_model(size: str, folder: Path) -> None:
    """Write the model; for a process of its own."""
    unet, autoencoder = SIZES[size]
    export_model(
        with_random_weights(MoebiusUNet(unet), seed=1),
        with_random_weights(build_autoencoder(autoencoder.to_dict()), seed=2),
        folder,
        name=folder.name,
        source="random numbers",
        licence="CC0-1.0",
    )


@torch.no_grad()
def with_random_weights(network: Network, seed: int) -> Network:
    """The network with every entry drawn so that no layer is an identity or zero and no activation grows."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        tensor.normal_(generator=generator)
        if name.endswith("running_var"):
            tensor.abs_().mul_(SPREAD).add_(1)
        elif tensor.ndim > 1:
            tensor.div_(tensor[0].numel() ** 0.5)
        elif name.endswith("weight"):
            tensor.mul_(SPREAD).add_(1)
        else:
            tensor.mul_(SPREAD)
    return network.eval()
