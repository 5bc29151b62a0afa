"""The contenders of the distillation benchmark: networks with random weights, pictures of noise, and three ways to
take a step's gradient on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.distillation import CACHED, ENCODING, PUBLISHED
from benchmarks.peak_memory import CallMemory, memory_of_call
from benchmarks.published_loop import PublishedLoop
from service.model.autoencoder import Autoencoder, AutoencoderConfig
from service.model.config import AutoencoderKLConfig
from service.model.nano_autoencoder import NanoAutoencoderConfig
from service.model.registry import build_autoencoder
from training.architectures import STUDENTS, TEACHERS, Architecture
from training.distil import DistilRecipe, DistilTrainer, refuse_unlike, student_of
from training.latent_encoding import Encode, encode_samples
from training.latent_source import LatentSource
from training.latents import LatentBatch, shard_path
from training.perceptual import DecodedFeatures
from training.samples import Sample
from training.teacher import PixelHackerUNet

FEATURE_STAGES = 4
_ALL = slice(None)


@dataclass(frozen=True)
class Size:
    """Networks and batch. The perceptual loss decodes crops of `crop` latents a side."""

    student: Architecture
    teacher: Architecture
    autoencoder: AutoencoderConfig
    batch: int
    crop: int

    @property
    def side(self) -> int:
        """Of the pictures, in pixels."""
        return STUDENTS[self.student].sample_size * self.autoencoder.downscale

    def samples(self) -> list[Sample]:
        """A batch of noise, each with a square hole in its middle, whole latent cells, of both categories."""
        rng = np.random.default_rng(0)
        hole = np.zeros((self.side, self.side), np.bool_)
        hole[self.side // 4 : -self.side // 4, self.side // 4 : -self.side // 4] = True
        shape = (self.side, self.side, 3)
        return [
            Sample(rng.integers(256, size=shape, dtype=np.uint8), hole, category=row % 2)
            for row in range(self.batch)
        ]

    def fresh_autoencoder(self) -> Autoencoder:
        """The same weights at every call."""
        torch.manual_seed(0)
        network = build_autoencoder(self.autoencoder.to_dict())
        return network.eval().requires_grad_(requires_grad=False)


SIZES = {
    "tiny": Size("moebius-tiny", "pixelhacker-tiny", NanoAutoencoderConfig(width=16), batch=2, crop=8),
    "nano": Size("moebius-nano", "pixelhacker-nano", NanoAutoencoderConfig(), batch=8, crop=16),
    "published": Size("moebius", "pixelhacker", AutoencoderKLConfig(), batch=1, crop=32),
}


def encoder_of(autoencoder: Autoencoder, device: torch.device) -> Encode:
    """Pictures to latents, both on the CPU, by an autoencoder on a device."""
    return lambda images: autoencoder.encode(images.to(device)).float().cpu()


class EncodedPictures:
    """A source of latents that encodes the size's samples at every step."""

    def __init__(self, size: Size, encode: Encode) -> None:
        self.samples, self.encode, self.cell = size.samples(), encode, size.autoencoder.downscale
        self.latent_side, self.latent_channels = size.side // self.cell, 4

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, seed: int, step: int, size: int, rows: slice = _ALL) -> LatentBatch:  # noqa: ARG002 - one signature
        """All samples, or those of them in `rows`."""
        return LatentBatch.from_arrays(encode_samples(self.samples[rows], self.encode, self.cell, size))


def write_latents(size: Size, folder: Path) -> None:
    """Encode the size's samples once, as the `latents` job does, into a shard in `folder`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encode = encoder_of(size.fresh_autoencoder().to(device), device)
    arrays = encode_samples(size.samples(), encode, size.autoencoder.downscale, size.batch)
    np.savez(shard_path(folder, 0), **arrays)  # type: ignore[arg-type]


def open_trainer(size: Size, latents: Path, perceptual: str) -> DistilTrainer:
    """A trainer on the latents of a folder, in bf16 on a GPU, with a teacher and an autoencoder, all random."""
    recipe = DistilRecipe(
        latents=latents,
        output=latents / "run",
        architecture=size.student,
        batch=size.batch,
        perceptual="none",
        mixed_precision="bf16" if torch.cuda.is_available() else "no",
    )
    with redirect_stdout(
        StringIO()
    ):  # the trainer tells that it has no perceptual loss: it is given one below
        trainer = DistilTrainer(recipe)
    fill_zeros(trainer.network)
    teacher = PixelHackerUNet(TEACHERS[size.teacher]).eval().requires_grad_(requires_grad=False)
    refuse_unlike(teacher, student_of(trainer))
    trainer.teacher = teacher.to(trainer.device)
    trainer.autoencoder = size.fresh_autoencoder().to(trainer.device)
    set_perceptual(trainer, size, perceptual)
    return trainer


@torch.no_grad()
def fill_zeros(network: nn.Module) -> None:
    """Draw the weights that a fresh student starts with at zero: gradients stop at them."""
    for parameter in network.parameters():
        if not parameter.any():
            parameter.normal_(std=0.02)


def set_perceptual(trainer: DistilTrainer, size: Size, kind: str) -> None:
    """Let the trainer judge by "features" of decoded crops, or have no perceptual loss: "none"."""
    assert trainer.autoencoder is not None
    trainer.perceptual.distance = None
    if kind == "features":
        with redirect_stdout(StringIO()):  # the features' package tells that it has read its weights
            judge = DecodedFeatures(trainer.autoencoder, FEATURE_STAGES, size.crop)
        trainer.perceptual.distance = judge.to(trainer.device)


def gradient_steps(trainer: DistilTrainer, size: Size) -> dict[str, Callable[[], None]]:
    """Every contender's step: the losses of one batch, their balancing and the gradient, without the update."""
    assert trainer.autoencoder is not None
    cached = trainer.source
    encoding = EncodedPictures(size, encoder_of(trainer.autoencoder, trainer.device))
    published = PublishedLoop(trainer, size.samples())

    def ours(source: LatentSource) -> Callable[[], tuple[Tensor, Mapping[str, Tensor | float]]]:
        def losses() -> tuple[Tensor, Mapping[str, Tensor | float]]:
            trainer.source = source
            return trainer.losses(0)

        return losses

    return {
        CACHED: lambda: take_gradient(trainer, ours(cached)),
        ENCODING: lambda: take_gradient(trainer, ours(encoding)),
        PUBLISHED: lambda: take_gradient(trainer, published.losses),
    }


def take_gradient(
    trainer: DistilTrainer, losses: Callable[[], tuple[Tensor, Mapping[str, Tensor | float]]]
) -> None:
    """Leave the gradient of the loss in the student; the draws are the same at every call."""
    trainer.network.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    loss, _ = losses()
    loss.backward()  # type: ignore[no-untyped-call]
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)


def step_memory(name: str, contender: str, latents: Path, perceptual: str, threads: int) -> CallMemory:
    """Memory of the first step of one contender; for a process of its own."""
    torch.set_num_threads(threads)
    size = SIZES[name]
    trainer = open_trainer(size, latents, perceptual)
    return memory_of_call(gradient_steps(trainer, size)[contender], trainer.device)
