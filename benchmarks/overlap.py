"""The VAE beside the step loop against instead of it: how long a running picture waits for its next step while
newcomers are encoded and others decoded, how long those take, and pictures a second.

A worker of our own in this process, so that each step is seen; its queue and all else are the service's.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.hardware import hardware_line
from benchmarks.measuring import Percentiles, Spread, ratios, spread_of
from benchmarks.overlap_run import OVERLAPS, Device, Overlap, Run, real_device, run, simulated_device
from benchmarks.tables import heading, table

NEIGHBOUR_STEPS = 100
NEWCOMERS = 8
NEWCOMER_STEPS = 4
BACKLOG = 24


@dataclass(frozen=True, slots=True)
class Row:
    """All rounds of one device and setting, in seconds and pictures a second. `gap` is from a step of the neighbour to
    its next one, `newcomer` the latency of those that come meanwhile. Ratios are to the VAE instead of steps.
    """

    device: str
    overlap: Overlap
    gap_p50: Spread
    gap_p99: Spread
    newcomer_p50: Spread
    newcomer_p95: Spread
    throughput: Spread
    gap_p99_ratio: Spread
    newcomer_p95_ratio: Spread
    throughput_ratio: Spread


@dataclass(frozen=True)
class OverlapReport:
    """All that was measured, and on what."""

    hardware: str
    rounds: int
    devices: list[str]
    rows: list[Row]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--rounds", type=int, default=5, help="of each device and setting, in turn")
    parser.add_argument("--models", nargs="*", default=["moebius-nano"], help="models of the store")
    parser.add_argument("--backend", default="auto", help="what runs them: auto, onnxruntime or torch")
    parser.add_argument("--device", default="auto", help="where they run: auto, cpu, cuda or cuda:N")


def measure(options: argparse.Namespace) -> OverlapReport:
    """Every device with both settings, which take turns in every round."""
    hardware = hardware_line()
    devices = [
        simulated_device(),
        *(real_device(model, options.backend, options.device) for model in options.models),
    ]
    runs: dict[tuple[str, Overlap], list[Run]] = defaultdict(list)
    for number in range(options.rounds):
        for device in devices:
            for overlap in OVERLAPS if number % 2 else reversed(OVERLAPS):
                runs[device.name, overlap].append(_one_run(device, overlap))
    rows = list(rows_of([device.name for device in devices], runs))
    return OverlapReport(hardware, options.rounds, [device.text for device in devices], rows)


def _one_run(device: Device, overlap: Overlap) -> Run:
    return run(
        device,
        overlap,
        neighbour_steps=NEIGHBOUR_STEPS,
        newcomers=NEWCOMERS,
        newcomer_steps=NEWCOMER_STEPS,
        backlog=BACKLOG,
    )


def rows_of(devices: Sequence[str], runs: Mapping[tuple[str, Overlap], list[Run]]) -> Iterator[Row]:
    """The rounds of each device and setting together."""
    for device in devices:
        instead = runs[device, "off"]
        for overlap in OVERLAPS:
            mine = runs[device, overlap]
            yield Row(
                device=device,
                overlap=overlap,
                gap_p50=spread_of(mine, lambda one: Percentiles.of(one.gaps).p50),
                gap_p99=spread_of(mine, lambda one: Percentiles.of(one.gaps).p99),
                newcomer_p50=spread_of(mine, lambda one: Percentiles.of(one.latencies).p50),
                newcomer_p95=spread_of(mine, lambda one: Percentiles.of(one.latencies).p95),
                throughput=spread_of(mine, lambda one: one.throughput),
                gap_p99_ratio=ratios(
                    *([Percentiles.of(one.gaps).p99 for one in some] for some in (mine, instead))
                ),
                newcomer_p95_ratio=ratios(
                    *([Percentiles.of(one.latencies).p95 for one in some] for some in (mine, instead))
                ),
                throughput_ratio=ratios(*([one.throughput for one in some] for some in (mine, instead))),
            )


def markdown(report: OverlapReport, command: str) -> str:
    """The report as a table."""
    lines = heading("The VAE beside the step loop", report.hardware, command)
    lines += [
        f"{report.rounds} rounds, in turn: median (least - most). A neighbour of {NEIGHBOUR_STEPS} steps runs while "
        f"{NEWCOMERS} pictures of {NEWCOMER_STEPS} steps come one after the other; gap: from one of its steps to the "
        f"next. Pictures/s: {BACKLOG} pictures of {NEWCOMER_STEPS} steps, all there at the start. off: the VAE runs "
        "instead of steps; on: beside them. Ratios are of on to off, round by round.",
        "",
        *(f"- {text}" for text in report.devices),
        "",
    ]
    lines += table(
        (
            *(
                "device",
                "overlap",
                "gap p50 ms",
                "gap p99 ms",
                "newcomer p50 s",
                "newcomer p95 s",
                "pictures/s",
            ),
            *("gap p99, ratio", "newcomer p95, ratio", "pictures/s, ratio"),
        ),
        [_cells(row) for row in report.rows],
    )
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    compared = (row.gap_p99_ratio, row.newcomer_p95_ratio, row.throughput_ratio)
    return (
        row.device,
        row.overlap,
        *(spread.times(1000).text(1) for spread in (row.gap_p50, row.gap_p99)),
        *(spread.text(2) for spread in (row.newcomer_p50, row.newcomer_p95, row.throughput)),
        *(spread.text(2) if row.overlap == "on" else "1" for spread in compared),
    )
