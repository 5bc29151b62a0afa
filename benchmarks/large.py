"""Large photographs with small, many and huge holes: crops, seconds, and the most memory that the process held."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from benchmarks.hardware import hardware_line, usable_cores
from benchmarks.large_case import HOLES, ONE_PASS, OURS, PLAIN_CROP, PLAIN_RESIZE, LargeCase, measured
from benchmarks.tables import heading, table

WAYS = {"small": (OURS, PLAIN_CROP, PLAIN_RESIZE), "many": (OURS,), "huge": (OURS, ONE_PASS, PLAIN_RESIZE)}


@dataclass(frozen=True)
class LargeReport:
    """All cases, and on what."""

    model: str
    hardware: str
    threads: int
    cases: list[LargeCase]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--model", default="moebius-nano-4step")
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[4096, 7071], help="of square photographs, pixels"
    )
    parser.add_argument("--threads", type=int, default=usable_cores(), help="CPU threads of the engine")


def measure(options: argparse.Namespace) -> LargeReport:
    """Every case in a process of its own."""
    hardware = hardware_line()
    cases = [
        measured(side, holes, way, options.model, options.threads)
        for side in options.sides
        for holes in HOLES
        for way in WAYS[holes]
    ]
    return LargeReport(options.model, hardware, options.threads, cases)


def markdown(report: LargeReport, command: str) -> str:
    """The report as one table."""
    lines = heading(f"Large photographs: {report.model}", report.hardware, command)
    lines += [
        f"A JPEG in and out, one candidate, {report.threads} threads, each case in a process of its own, no queue. "
        "Small: one hole of a 40th of the side; many: 25 of them; huge: one of half the side. Seconds are of one run, "
        "on shared cores; coding is decoding, cutting, composing and encoding. Memory is what was resident: before, "
        "with the model loaded and the uploads at hand, and at most. Edge, tone and sharpness as in seams.md; the "
        "photograph is an enlarged one with grain, so sharpness is how much of the grain comes back.",
        "",
    ]
    return "\n".join([*lines, *table(COLUMNS, map(_cells, report.cases))])


COLUMNS = (
    "pixels",
    "holes",
    "way",
    "crops",
    "seconds",
    "of these coding",
    "MiB before",
    "MiB at most",
    "edge",
    "tone",
    "sharpness",
)


def _cells(case: LargeCase) -> tuple[str, ...]:
    return (
        f"{case.side} x {case.side}",
        case.holes,
        case.way,
        str(case.crops),
        f"{case.seconds:.1f}",
        f"{case.coding_seconds:.1f}",
        f"{case.before:.0f}",
        f"{case.most:.0f}",
        f"{case.seam.edge:.2f}",
        f"{case.seam.tone:.1f}",
        f"{case.seam.sharpness:.2f}",
    )
