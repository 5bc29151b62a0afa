"""Measures a distillation step: pictures a second and peak memory with latents cached, encoded at every step, and in
the structure of the published loop.

All run on the same networks and samples, in turn, in one process; memory is that of a process of its own each.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.hardware import hardware_line, usable_cores
from benchmarks.measuring import Spread, ratios, seconds_in_turn
from benchmarks.tables import heading, table

if TYPE_CHECKING:
    from benchmarks.peak_memory import CallMemory

CACHED = "ours, latents cached"
ENCODING = "ours, latents encoded at every step"
PUBLISHED = "the published loop's structure"
CONTENDERS = (CACHED, ENCODING, PUBLISHED)
SIZE_NAMES = ("tiny", "nano", "published")
PERCEPTUAL = ("features", "none")


@dataclass(frozen=True)
class Row:
    """One contender on networks of one size. `faster` compares with the published loop's structure, round by round;
    memory is in MiB: what the first step added, and the whole process at its peak.
    """

    size: str
    networks: str
    perceptual: str
    contender: str
    rate: Spread
    faster: Spread
    added_memory: float
    whole_memory: float


@dataclass(frozen=True)
class DistillationReport:
    """All that was measured, and on what. `device` says the precision too."""

    hardware: str
    device: str
    threads: int
    rounds: int
    packages: dict[str, str]
    rows: list[Row]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--size", nargs="+", choices=SIZE_NAMES, default=["nano", "published"])
    parser.add_argument("--perceptual", nargs="+", choices=PERCEPTUAL, default=list(PERCEPTUAL))
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; one before them warms up")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of PyTorch on the CPU")


def measure(options: argparse.Namespace) -> DistillationReport:
    """Every size with every perceptual loss."""
    import torch  # the other benchmarks' options are read without it

    hardware = hardware_line()
    torch.set_num_threads(options.threads)
    rows = []
    for name in options.size:
        with tempfile.TemporaryDirectory(prefix="moebius-distillation-") as folder:
            rows += measure_size(name, Path(folder), options)
    device = f"{torch.cuda.get_device_name()}, bf16" if torch.cuda.is_available() else "CPU, fp32"
    packages = {"torch": version("torch"), "accelerate": version("accelerate")}
    return DistillationReport(hardware, device, options.threads, options.rounds, packages, rows)


def measure_size(name: str, folder: Path, options: argparse.Namespace) -> list[Row]:
    """The rows of one size. Memory comes first, while this process holds no networks beside the measured one's."""
    from benchmarks import distillation_steps as steps  # it needs torch

    size = steps.SIZES[name]
    steps.write_latents(size, folder)
    memory = {
        (kind, contender): _memory_in_own_process(name, contender, folder, kind, options.threads)
        for kind in options.perceptual
        for contender in CONTENDERS
    }
    trainer = steps.open_trainer(size, folder, options.perceptual[0])
    networks = f"{size.student} of {size.teacher}, {size.side} px, batch {size.batch}"
    rows = []
    for kind in options.perceptual:
        steps.set_perceptual(trainer, size, kind)
        seconds = seconds_in_turn(steps.gradient_steps(trainer, size), options.rounds)
        for contender in CONTENDERS:
            rate = Spread.of([size.batch / second for second in seconds[contender]])
            faster = ratios(seconds[PUBLISHED], seconds[contender])
            found = memory[kind, contender]
            rows.append(Row(name, networks, kind, contender, rate, faster, found.added, found.whole))
    return rows


def _memory_in_own_process(name: str, contender: str, latents: Path, kind: str, threads: int) -> CallMemory:
    from benchmarks.distillation_steps import step_memory

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(step_memory, name, contender, latents, kind, threads).result()


def markdown(report: DistillationReport, command: str) -> str:
    """The report as a table for each size and perceptual loss."""
    packages = ", ".join(f"{name} {number}" for name, number in report.packages.items())
    lines = heading("A distillation step", report.hardware, command)
    lines += [
        f"{report.device}, {report.threads} threads, {packages}; {report.rounds} rounds, contenders in turn: "
        "median (least - most).",
        "",
        "A step is the losses of one batch, their balancing and the gradient. The optimizer's update is left out: it "
        "is the same for all, and costs as much for a batch of 1 as for one of 128, so that with the small batches of "
        "this benchmark it would hide the rest. Weights are random and pictures noise. The published loop's structure "
        "encodes the picture and the masked picture at every step, runs the teacher in fp32, and takes each of the "
        "five balancing norms by a backward pass of its own; on a CPU all contenders are fp32.",
        "",
        "The published perceptual loss, E-LatentLPIPS, reads latents. `features`, of decoded crops, stand in for it "
        "and cost more; `none` costs less.",
        "",
    ]
    for networks, kind in dict.fromkeys((row.networks, row.perceptual) for row in report.rows):
        lines += [f"{networks}; perceptual loss: {kind}", ""]
        lines += table(
            ("step", "pictures/s", "times as fast", "memory of the first step, MiB", "whole process, MiB"),
            [
                (
                    row.contender,
                    row.rate.text(3),
                    row.faster.text(2),
                    f"{row.added_memory:,.0f}",
                    f"{row.whole_memory:,.0f}",
                )
                for row in report.rows
                if (row.networks, row.perceptual) == (networks, kind)
            ],
        )
    return "\n".join(lines)
