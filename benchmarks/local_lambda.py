"""Compares the ways to compute a Local-lambda's position term, level by level and runtime by runtime.

What `service.model.inference.positions` chooses by comes from here.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.hardware import gpu_name, hardware_line, usable_cores
from benchmarks.measuring import Spread, ratios, seconds_in_turn
from benchmarks.tables import heading, table

if TYPE_CHECKING:
    from benchmarks.position_forms import Level

NETWORKS = ("full", "nano")
SHORT_CALL = 0.05  # seconds for which a call is repeated, so that a GPU's are told from the clock's


@dataclass(frozen=True, slots=True)
class FormRow:
    """One way on one level and runtime: seconds of a call, how many times as fast as the published order in the same
    round, and the relative error beside it. `is_fastest` by the median.
    """

    network: str
    side: int
    width: int
    runtime: str
    form: str
    seconds: Spread
    faster: Spread
    error: float
    is_fastest: bool


@dataclass(frozen=True)
class LocalLambdaReport:
    """All that was measured, and on what."""

    hardware: str
    gpu: str
    threads: int
    rounds: int
    batch: int
    rows: list[FormRow]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument(
        "--batch", type=int, default=2, help="maps in a call; 2 are the branches of a picture"
    )
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds; one before them warms up")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of each runtime on the CPU")


def measure(options: argparse.Namespace) -> LocalLambdaReport:
    """Time all ways of a level on a runtime in turn."""
    import torch

    from benchmarks.position_forms import CPU_RUNTIMES, GPU_RUNTIME

    hardware = hardware_line()
    torch.set_num_threads(options.threads)
    runtimes = [*CPU_RUNTIMES, *([GPU_RUNTIME] if torch.cuda.is_available() else [])]
    rows = [
        row
        for network in options.networks
        for level in levels(network)
        for runtime in runtimes
        for row in _rows(network, level, runtime, options)
    ]
    return LocalLambdaReport(
        hardware=hardware,
        gpu=gpu_name(),
        threads=options.threads,
        rounds=options.rounds,
        batch=options.batch,
        rows=rows,
    )


def levels(network: str) -> list[Level]:
    """The levels of the published network, or of the built-in one."""
    from benchmarks.position_forms import Level
    from service.model.config import FULL, NANO

    config = {"full": FULL, "nano": NANO}[network]
    return [
        Level(config.side(level), channels // config.heads, config.heads, config.position_kernel)
        for level, channels in enumerate(config.channels)
    ]


def _rows(network: str, level: Level, runtime: str, options: argparse.Namespace) -> list[FormRow]:
    from benchmarks.position_forms import PUBLISHED, calls

    ways = calls(level, runtime, options.batch, options.threads)
    expected = ways[PUBLISHED]()
    errors = {
        name: float(np.linalg.norm(call() - expected) / np.linalg.norm(expected))
        for name, call in ways.items()
    }
    seconds = seconds_in_turn(ways, options.rounds, at_least=SHORT_CALL)
    medians = {name: Spread.of(times).median for name, times in seconds.items()}
    fastest = min(medians, key=medians.__getitem__)
    return [
        FormRow(
            network=network,
            side=level.side,
            width=level.width,
            runtime=runtime,
            form=name,
            seconds=Spread.of(times),
            faster=ratios(seconds[PUBLISHED], times),
            error=errors[name],
            is_fastest=name == fastest,
        )
        for name, times in seconds.items()
    ]


def markdown(report: LocalLambdaReport, command: str) -> str:
    """The report as a page."""
    lines = heading("The position term of a Local-lambda", report.hardware, command)
    lines += [
        f"GPU: {report.gpu}. {report.threads} threads, {report.batch} maps in a call, fp32 on CPUs, fp16 on GPUs.",
        f"Medians of {report.rounds} rounds in which all ways of a level and runtime ran in turn, with the ends in",
        "brackets. The error is the norm of the difference to the published order / norm.",
        "",
    ]
    titles = ("", "map", "channels a head", "runtime", "way", "ms", "times as fast", "error", "")
    rows = [
        (
            row.network,
            f"{row.side} x {row.side}",
            str(row.width),
            row.runtime,
            row.form,
            row.seconds.times(1e3).text(1),
            row.faster.text(2),
            f"{row.error:.0e}",
            "fastest" if row.is_fastest else "",
        )
        for row in report.rows
    ]
    return "\n".join([*lines, *table(titles, rows)])
