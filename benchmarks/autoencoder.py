"""The published autoencoder, random weights: seconds and memory of encoding and decoding by batch; and what half
precision changes in photographs through the built-in one. Why the VAE takes one item a call and is not tiled.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from statistics import median
from time import perf_counter
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.hardware import hardware_line
from benchmarks.peak_memory import memory_of_call
from benchmarks.photographs import EXAMPLE
from benchmarks.tables import heading, table
from service.artifacts import load_manifest
from service.engine.torch import load_networks
from service.model.autoencoder import Autoencoder
from service.model.config import AutoencoderKLConfig
from service.model.half_autoencoder import HalfAutoencoder
from service.model.vae import AutoencoderKL
from service.settings import default_model_store

Direction = Literal["encode", "decode"]
Precision = Literal["fp32", "fp16"]
SIDE = 512
GREY_LEVELS = 127.5  # of pictures in [-1, 1]
BUILT_IN = "moebius-nano"
CROP = 256


@dataclass(frozen=True, slots=True)
class CostRow:
    """A call over `batch` pictures of 512 x 512: median seconds a picture, and the memory that it adds, in MiB."""

    direction: Direction
    precision: Precision
    batch: int
    seconds: float
    added: float


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """Grey levels between half precision and fp32 after the built-in model's encoder and decoder, or the latter."""

    part: str
    mean: float
    worst: float


@dataclass(frozen=True)
class AutoencoderReport:
    """All that was measured, and on what."""

    hardware: str
    device: str
    rounds: int
    costs: list[CostRow]
    differences: list[DifferenceRow]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N; fp16 is timed on GPUs alone")
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 2], help="pictures a call")
    parser.add_argument("--rounds", type=int, default=3, help="of each call, after one that warms up")


def measure(options: argparse.Namespace) -> AutoencoderReport:
    """Both tables; each row of costs in a process of its own."""
    hardware = hardware_line()
    precisions: tuple[Precision, ...] = ("fp32",) if options.device == "cpu" else ("fp32", "fp16")
    directions: tuple[Direction, ...] = ("encode", "decode")
    costs = []
    for direction, precision, batch in product(directions, precisions, options.batches):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            asked = (options.device, direction, precision, batch, options.rounds)
            costs.append(process.submit(_cost, *asked).result())
    return AutoencoderReport(hardware, options.device, options.rounds, costs, _differences())


def _cost(device: str, direction: Direction, precision: Precision, batch: int, rounds: int) -> CostRow:
    torch.manual_seed(0)
    place = torch.device(device)
    network: Autoencoder = AutoencoderKL(AutoencoderKLConfig()).eval().requires_grad_(requires_grad=False)
    network = HalfAutoencoder(network) if precision == "fp16" else network
    network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    side, channels = (SIDE, 3) if direction == "encode" else (SIDE // network.config.downscale, 4)
    values = torch.randn(batch, channels, side, side, device=place)
    call = _inference(network.encode if direction == "encode" else network.decode, values)
    memory = memory_of_call(call, place)
    seconds = median(_seconds(call) for _ in range(rounds))
    return CostRow(direction, precision, batch, seconds / batch, memory.added)


def _inference(of: Callable[[Tensor], Tensor], values: Tensor) -> Callable[[], object]:
    def call() -> object:
        with torch.inference_mode():
            return of(values).cpu()

    return call


def _seconds(call: Callable[[], object]) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started


@torch.inference_mode()
def _differences() -> list[DifferenceRow]:
    folder = default_model_store() / BUILT_IN
    _, full = load_networks(folder, load_manifest(folder))
    half = HalfAutoencoder(full.eval())
    photographs = _photographs()
    latents = full.encode(photographs)
    expected = full.decode(latents).clamp(-1, 1)
    found = {"decoder": half.decode(latents), "encoder and decoder": half.decode(half.encode(photographs))}
    levels = {part: (picture.clamp(-1, 1) - expected).abs() * GREY_LEVELS for part, picture in found.items()}
    return [DifferenceRow(part, level.mean().item(), level.max().item()) for part, level in levels.items()]


def _photographs() -> Tensor:
    """Crops [N, 3, s, s] in [-1, 1] of the example."""
    with Image.open(EXAMPLE) as photo:
        pixels = np.asarray(photo.convert("RGB"), np.float32) / GREY_LEVELS - 1
    corners = product(range(0, pixels.shape[0] - CROP + 1, CROP), range(0, pixels.shape[1] - CROP + 1, CROP))
    crops = [pixels[top : top + CROP, left : left + CROP].transpose(2, 0, 1) for top, left in corners]
    return torch.from_numpy(np.stack(crops))


def markdown(report: AutoencoderReport, command: str) -> str:
    """The report as tables."""
    lines = heading("The autoencoder", report.hardware, command)
    lines += [
        f"The published autoencoder with random weights on {report.device}, PyTorch, pictures of {SIDE} x {SIDE}: "
        f"median of {report.rounds} calls; memory of the first one.",
        "",
    ]
    lines += table(
        ("", "precision", "pictures a call", "s a picture", "memory added, MiB"),
        [
            (row.direction, row.precision, str(row.batch), f"{row.seconds:.3f}", f"{row.added:.0f}")
            for row in report.costs
        ],
    )
    lines += [f"Half precision against fp32, {BUILT_IN} on photographs, in grey levels of 255:", ""]
    lines += table(
        ("in half precision", "mean", "worst"),
        [(row.part, f"{row.mean:.3f}", f"{row.worst:.2f}") for row in report.differences],
    )
    return "\n".join(lines)
