"""Atomic training checkpoints: a run killed while one is written keeps the one before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from service.model.config import UNetConfig
from service.model.nano_autoencoder import NanoAutoencoder, NanoAutoencoderConfig
from service.model.unet import MoebiusUNet
from training.teacher import PixelHackerUNet
from training.teacher_config import TeacherConfig

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write beside `path`, flush to disk, then rename over it."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def keep_checkpoint(path: Path, step: int) -> None:
    """Keep a copy of a checkpoint under a name of its own, checkpoint_STEP.pt, that no later one takes."""
    partial = path.with_suffix(".kept.partial")
    shutil.copyfile(path, partial)
    partial.replace(path.with_name(f"{path.stem}_{step:08d}{path.suffix}"))


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state that `save_checkpoint` wrote, or None when there is none; tensors are read when they are used."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return state


Network = TypeVar("Network", bound=nn.Module)


def averaged_autoencoder(folder: Path) -> NanoAutoencoder:
    """The averaged autoencoder of a training run, in evaluation mode. Raises FileNotFoundError without a checkpoint."""
    return _averaged(folder, lambda config: NanoAutoencoder(NanoAutoencoderConfig.from_dict(config)))


def averaged_unet(folder: Path) -> MoebiusUNet:
    """The averaged U-Net of a training run, in evaluation mode. Raises FileNotFoundError without a checkpoint."""
    return _averaged(folder, lambda config: MoebiusUNet(UNetConfig.from_dict(config)))


def averaged_teacher(folder: Path) -> PixelHackerUNet:
    """The averaged teacher of a training run, in evaluation mode. Raises FileNotFoundError without a checkpoint."""
    return _averaged(folder, lambda config: PixelHackerUNet(TeacherConfig.from_dict(config)))


def _averaged(folder: Path, build: Callable[[dict[str, Any]], Network]) -> Network:
    state = load_checkpoint(folder / CHECKPOINT)
    if state is None:
        raise FileNotFoundError(f"no {CHECKPOINT} in {folder}: run the training job that writes it first")
    network = build(state["config"])
    network.load_state_dict(state["average"])
    return network.eval()
