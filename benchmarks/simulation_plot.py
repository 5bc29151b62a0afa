"""The simulation's picture: what load does to latency, waiting and batches, and what wakes do to the queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from benchmarks.simulation import SimulationReport, SimulationRow

COLORS = ("#1b6ca8", "#2a9d5c", "#c77700", "#a3348f", "#777777")
STYLES = {"step": "-", "request": ":"}
SHOWN_LOAD = 0.8


def draw(report: SimulationReport, path: Path) -> None:
    """Write the picture of the first curve's plain runs."""
    first = report.rows[0].cell.curve
    rows = [row for row in report.rows if row.cell.curve == first and row.cell.kind == "plain"]
    emptiest = [row for row in report.rows if row.cell.curve == first and row.cell.kind == "emptiest"]
    figure = Figure(figsize=(13, 7.6), layout="constrained")
    axes = figure.subplots(2, 3)
    figure.suptitle(f"{first}. Solid: step batching; dotted: whole requests; dashed: steps, emptiest first")
    _against_load(axes[0, 0], rows, emptiest, lambda row: row.latency.p50, "latency, median, s")
    _against_load(axes[0, 1], rows, emptiest, lambda row: row.latency.p95, "latency, 95th percentile, s")
    _against_load(axes[0, 2], rows, emptiest, lambda row: row.wait.p95, "wait for a step, 95th percentile, s")
    _against_load(axes[1, 0], rows, emptiest, lambda row: row.busy * 100, "device busy, % of the time")
    _batches(axes[1, 1], [row for row in rows if row.cell.load == SHOWN_LOAD])
    _claims(axes[1, 2], [row for row in rows if row.cell.batching == "step"])
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _workers(rows: Sequence[SimulationRow]) -> list[tuple[int, str]]:
    """Each number of workers with its colour."""
    return list(zip(sorted({row.cell.workers for row in rows}), COLORS, strict=False))


def _against_load(
    axes: Axes,
    rows: Sequence[SimulationRow],
    emptiest: Sequence[SimulationRow],
    value: Callable[[SimulationRow], float],
    title: str,
) -> None:
    for workers, color in _workers(rows):
        dashed = [row for row in emptiest if row.cell.workers == workers]
        axes.plot([row.cell.load * 100 for row in dashed], [value(row) for row in dashed], "--", color=color)
        for batching, style in STYLES.items():
            mine = [row for row in rows if row.cell.workers == workers and row.cell.batching == batching]
            label = f"{workers:,} worker{'s' if workers > 1 else ''}" if batching == "step" else None
            loads = [row.cell.load * 100 for row in mine]
            axes.plot(loads, [value(row) for row in mine], style, color=color, label=label, marker=".")
    axes.set(title=title, xlabel="load, % of what full batches could do")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)


def _batches(axes: Axes, rows: Sequence[SimulationRow]) -> None:
    for workers, color in _workers(rows):
        for batching, style in STYLES.items():
            for row in rows:
                if row.cell.workers == workers and row.cell.batching == batching:
                    steps = sum(row.batches.values())
                    shares = [count / steps * 100 for count in row.batches.values()]
                    axes.plot(list(row.batches), shares, style, color=color, marker=".")
    axes.set(title=f"steps by batch size at {SHOWN_LOAD:.0%} load, %", xlabel="items in the batch")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)


def _claims(axes: Axes, rows: Sequence[SimulationRow]) -> None:
    for load, color in zip(sorted({row.cell.load for row in rows}), COLORS, strict=False):
        mine = [row for row in rows if row.cell.load == load]
        counts, claims = [row.cell.workers for row in mine], [row.claims for row in mine]
        axes.loglog(counts, claims, "-", color=color, marker=".", label=f"{load:.0%} load")
    axes.set(title="claims that workers send for a job", xlabel="workers")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
