"""What the engine benchmark has found, and how it looks as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.cold_start import Start
from benchmarks.measuring import Spread
from benchmarks.tables import heading, table


@dataclass(frozen=True)
class StepRow:
    """A guided step of `batch` crops: seconds; how many times as long as the first engine on its device took, round by
    round; pictures a second; operations and bytes a second of the work as published, and their shares of what a large
    product and a large copy reached; MiB at the most, None where it was not told.
    """

    batch: int
    seconds: Spread
    slower: Spread
    pictures: Spread
    flops: Spread
    of_product: Spread
    bytes: Spread
    of_copy: Spread
    memory: float | None


@dataclass(frozen=True)
class Starts:
    """In processes of its own: seconds of the first cold start, with nothing cached, of those after it, and the parts
    of the last.
    """

    first: float
    cold: Spread
    last: Start


@dataclass(frozen=True)
class EngineRow:
    """One engine, or why it was not measured. Seconds of encoding, decoding and a whole picture of one crop; operations
    a second of a large product in its precision and bytes a second of a large copy.
    """

    engine: str
    obstacle: str | None
    starts: Starts | None = None
    encode: Spread | None = None
    decode: Spread | None = None
    picture: Spread | None = None
    product: Spread | None = None
    copy: Spread | None = None
    steps: tuple[StepRow, ...] = ()


@dataclass(frozen=True)
class EngineReport:
    """All that was measured, and on what. `work` is that of one guided step of one crop, as published."""

    model: str
    hardware: str
    gpu: str
    threads: int
    rounds: int
    steps: int
    packages: dict[str, str]
    work_flops: float
    work_bytes: float
    rows: list[EngineRow]


def markdown(report: EngineReport, command: str) -> str:
    """The report: a table of engines, and one of their steps by batch size."""
    packages = ", ".join(f"{name} {number}" for name, number in report.packages.items())
    lines = heading(f"Engines on {report.model}", f"{report.hardware}; GPU: {report.gpu}", command)
    lines += [
        f"{report.threads} threads on a CPU; {packages}; {report.rounds} rounds, everything in turn in one process: "
        "median (least - most). Starts and memory are those of processes of its own: one start with nothing cached, "
        "then some with what it has left, of the last of which the parts are told; memory is the process's, on a GPU "
        "all that is taken of it.",
        "",
        *_starts(report),
        f"Work as published: a guided step of one crop is {report.work_flops / 1e9:,.1f} GFLOP and "
        f"{report.work_bytes / 1e9:,.2f} GB, counted on the network in the published operator order, both branches in "
        "full, every operator reading its inputs and writing its outputs once, in fp32. An engine that does the same "
        "with less work or keeps more in its caches may so pass the ceilings: a product of large matrices in its "
        f"precision, and a large copy. Pictures/s: {report.steps} steps with full batches, and encoding and decoding "
        "of each crop for itself.",
        "",
        *_steps(report),
    ]
    return "\n".join(lines)


def _starts(report: EngineReport) -> list[str]:
    titles = (
        "engine",
        "cold start, nothing cached, s",
        "cold start, s",
        "of it until opened, s",
        "warm-up, s",
        "first step, s",
        "memory then, MiB",
        "encode, ms",
        "decode, ms",
        f"a whole picture, {report.steps} steps, s",
        "product, GFLOP/s",
        "copy, GB/s",
    )
    return table(titles, [_padded(_start_cells(row), len(titles)) for row in report.rows])


def _start_cells(row: EngineRow) -> Sequence[str]:
    if row.starts is None:
        return row.engine, f"not measured: {row.obstacle}"
    start = row.starts.last
    return (
        row.engine,
        f"{row.starts.first:.2f}",
        row.starts.cold.text(2),
        *(f"{seconds:.2f}" for seconds in (start.opened, start.warm_up, start.first_step)),
        f"{start.idle:,.0f}",
        _text(row.encode, 1e3, 1),
        _text(row.decode, 1e3, 1),
        _text(row.picture, 1, 2),
        _text(row.product, 1e-9, 0),
        _text(row.copy, 1e-9, 1),
    )


def _steps(report: EngineReport) -> list[str]:
    titles = (
        "engine",
        "batch",
        "guided step, ms",
        "times the device's first engine",
        "pictures/s",
        "GFLOP/s of the published work",
        "of the product",
        "GB/s of the published work",
        "of the copy",
        "most memory, MiB",
    )
    return table(titles, [_padded(cells, len(titles)) for row in report.rows for cells in _step_cells(row)])


def _step_cells(row: EngineRow) -> Iterable[Sequence[str]]:
    if row.starts is None:
        yield row.engine, f"not measured: {row.obstacle}"
    for step in row.steps:
        yield (
            row.engine,
            str(step.batch),
            _text(step.seconds, 1e3, 1),
            step.slower.text(2),
            _text(step.pictures, 1, 2),
            _text(step.flops, 1e-9, 0),
            f"{step.of_product.median:.0%}",
            _text(step.bytes, 1e-9, 1),
            f"{step.of_copy.median:.0%}",
            "" if step.memory is None else f"{step.memory:,.0f}",
        )


def _text(spread: Spread | None, factor: float, digits: int) -> str:
    return "" if spread is None else spread.times(factor).text(digits)


def _padded(cells: Sequence[str], count: int) -> Sequence[str]:
    return [*cells, *[""] * (count - len(cells))]
