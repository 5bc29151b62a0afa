"""What each rewrite of the inference form gains: the work that it saves, counted, and the time, measured in turn with
the published order of the same layer.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.hardware import hardware_line, usable_cores
from benchmarks.measuring import Spread, ratios, seconds_in_turn
from benchmarks.random_model import SIZES
from benchmarks.rewrite_pairs import Pair, Side, pairs
from benchmarks.tables import heading, table
from service.model.onnx_graph import quiet_exporter

BACKENDS = ("torch", "onnxruntime")
GIGA = 1e9


@dataclass(frozen=True)
class RewriteRow:
    """One rewrite at one size: the work of all its layers of a guided step in GFLOP, and both times of one layer."""

    rewrite: str
    size: str
    count: int
    work_before: float
    work_after: float
    difference: float
    milliseconds_before: dict[str, Spread]
    milliseconds_after: dict[str, Spread]
    faster: dict[str, Spread]

    @property
    def predicted(self) -> float:
        """How many times less work: the gain where all operations cost alike."""
        return self.work_before / self.work_after


@dataclass(frozen=True)
class RewritesReport:
    """All that was measured, and on what."""

    size: str
    hardware: str
    threads: int
    rounds: int
    rows: list[RewriteRow]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--size", choices=sorted(SIZES), default="full", help="of the network")
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds; one before them warms up")
    parser.add_argument("--threads", type=int, default=usable_cores())


@torch.no_grad()
def measure(options: argparse.Namespace) -> RewritesReport:
    """Measure all pairs on both backends."""
    hardware = hardware_line()
    torch.set_num_threads(options.threads)
    unet, _ = SIZES[options.size]
    rows = [row_of(pair, options.rounds, options.threads) for pair in pairs(unet)]
    return RewritesReport(options.size, hardware, options.threads, options.rounds, rows)


def row_of(pair: Pair, rounds: int, threads: int) -> RewriteRow:
    """Both sides of a pair in turn, on each backend."""
    before, after, faster = {}, {}, {}
    for backend in BACKENDS:
        calls = {
            name: _call(side, backend, threads)
            for name, side in (("before", pair.before), ("after", pair.after))
        }
        seconds = seconds_in_turn(calls, rounds)
        before[backend], after[backend] = (Spread.of(seconds[name]).times(1000) for name in calls)
        faster[backend] = ratios(seconds["before"], seconds["after"])
    work = [pair.count * _flops(side) / GIGA for side in (pair.before, pair.after)]
    return RewriteRow(
        pair.rewrite, pair.size, pair.count, work[0], work[1], _difference(pair), before, after, faster
    )


def _call(side: Side, backend: str, threads: int) -> Callable[[], object]:
    if backend == "torch":
        return lambda: side.network(*side.inputs)
    with tempfile.TemporaryDirectory() as folder, quiet_exporter():
        path = Path(folder) / "layer.onnx"
        program = torch.onnx.export(side.network.eval(), side.inputs, dynamo=True, verbose=False)
        assert program is not None
        program.save(path, external_data=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    feed = dict(zip(names, (tensor.numpy() for tensor in side.inputs), strict=True))
    return lambda: session.run(None, feed)


def _flops(side: Side) -> float:
    with FlopCounterMode(display=False) as counter:
        side.network(*side.inputs)
    return float(counter.get_total_flops())


def _difference(pair: Pair) -> float:
    """Norm of the difference / norm, of the two sides' answers on PyTorch."""
    expected = pair.before.network(*pair.before.inputs)
    found = pair.after.network(*pair.after.inputs)
    if found.ndim < expected.ndim:  # tokens [B, n, C] of a map [B, C, h, w]
        found = found.transpose(1, 2).reshape(expected.shape)
    return float((found - expected).norm() / expected.norm())


def markdown(report: RewritesReport, command: str) -> str:
    """The report as a table."""
    lines = heading("What each rewrite gains", report.hardware, command)
    lines += [
        f"The layers of the {report.size} network alone, both branches of one picture, {report.threads} threads, fp32; "
        f"{report.rounds} rounds, both orders in turn. Predicted: the work of the published order over that of ours "
        "(2 x multiply-adds; of a guided step, all layers of that size). Times faster: median (least - most).",
        "",
    ]
    rows = [
        (
            row.rewrite,
            row.size,
            f"{row.work_before:.1f} to {row.work_after:.1f}",
            f"{row.predicted:.2f}",
            *(f"{_milliseconds(row, backend)}; {row.faster[backend].text(2)}" for backend in BACKENDS),
            f"{row.difference:.1e}",
        )
        for row in report.rows
    ]
    titles = (
        "rewrite",
        "size",
        "GFLOP a step",
        "predicted",
        *(f"{one}: ms a layer; times faster" for one in BACKENDS),
    )
    return "\n".join([*lines, *table((*titles, "relative difference"), rows)])


def _milliseconds(row: RewriteRow, backend: str) -> str:
    return f"{row.milliseconds_before[backend].median:.1f} to {row.milliseconds_after[backend].median:.1f}"
