"""Step time by batch size, as a worker measures it at its start: what the simulation and the capacity model run on.

On a machine with a GPU: `python -m benchmarks curves --models moebius-places2 --device cuda --max-batch 32
--output FOLDER`; then the simulation and the capacity model take `--curves FOLDER/curves.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.hardware import hardware_line, usable_cores
from benchmarks.measuring import Spread, spread_of
from benchmarks.tables import heading, table
from service.engine.base import Engine
from service.engine.selection import open_engine
from service.settings import Settings
from service.worker.profile import BatchProfile
from service.worker.profile import measure as measure_profile

MODELS = "moebius-nano,moebius-nano-4step"
BACKENDS = "onnxruntime"


@dataclass(frozen=True, slots=True)
class CurveRow:
    """One model on one backend: seconds of a step by batch size, and of encoding and decoding one crop. `batch` is
    what a worker would choose, `pictures` what that makes a second of pictures of one crop.
    """

    model: str
    backend: str
    device: str
    precision: str
    steps: int
    distilled: bool
    step_seconds: dict[int, Spread]
    encode_seconds: Spread
    decode_seconds: Spread
    batch: int
    pictures: float

    @property
    def name(self) -> str:
        """Model, backend and device."""
        return f"{self.model} on {self.backend}, {self.device}"


@dataclass(frozen=True)
class CurvesReport:
    """All that was measured, and on what."""

    hardware: str
    rounds: int
    threads: int
    rows: list[CurveRow]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--models", default=MODELS, help="separated by commas")
    parser.add_argument("--backends", default=BACKENDS, help="separated by commas")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--max-batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7, help="of every model on every backend, in turn")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="CPU threads of an engine")


def measure(options: argparse.Namespace) -> CurvesReport:
    """Profile every model on every backend, in turn. `ArtifactError` if a model or a backend is missing."""
    hardware = hardware_line()
    engines = [
        open_engine(
            Settings(
                model=model,
                backend=backend,
                device=options.device,
                max_batch=options.max_batch,
                threads=options.threads,
            )
        )
        for model in options.models.split(",")
        for backend in options.backends.split(",")
    ]
    for engine in engines:
        engine.warmup()
    profiles: dict[int, list[BatchProfile]] = {index: [] for index in range(len(engines))}
    for number in range(options.rounds):
        for index in sorted(profiles, reverse=number % 2 == 1):
            profiles[index].append(measure_profile(engines[index]))
    rows = [row_of(engine, profiles[index]) for index, engine in enumerate(engines)]
    for engine in engines:
        engine.close()
    return CurvesReport(hardware, options.rounds, options.threads, rows)


def row_of(engine: Engine, profiles: Sequence[BatchProfile]) -> CurveRow:
    """The rounds of one engine together, at the batch sizes that every round came to."""
    sizes = set.intersection(*(set(profile.step_seconds) for profile in profiles))
    steps = {size: spread_of(profiles, _step_of(size)) for size in sorted(sizes)}
    encode = spread_of(profiles, lambda profile: profile.encode_seconds)
    decode = spread_of(profiles, lambda profile: profile.decode_seconds)
    info = engine.info
    median = BatchProfile(
        {size: spread.median for size, spread in steps.items()},
        encode.median,
        decode.median,
        info.default_steps,
        info.is_distilled,
    )
    return CurveRow(
        model=info.model,
        backend=info.backend,
        device=info.device,
        precision=info.precision,
        steps=info.default_steps,
        distilled=info.is_distilled,
        step_seconds=steps,
        encode_seconds=encode,
        decode_seconds=decode,
        batch=median.cap,
        pictures=pictures_a_second(median),
    )


def _step_of(size: int) -> Any:
    return lambda profile: profile.step_seconds[size]


def pictures_a_second(profile: BatchProfile) -> float:
    """Of one crop each, with full batches, encoding and decoding one after the other on the same device."""
    denoising = profile.steps * profile.step_seconds[profile.cap] / profile.cap
    return 1 / (denoising + profile.encode_seconds + profile.decode_seconds)


def load_curves(path: Path) -> dict[str, BatchProfile]:
    """The medians of a curves.json, by the name of each row. Raises OSError, KeyError or ValueError."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return {f"{row['model']} on {row['backend']}, {row['device']}": _profile(row) for row in rows}


def _profile(row: dict[str, Any]) -> BatchProfile:
    return BatchProfile(
        step_seconds={int(size): spread["median"] for size, spread in row["step_seconds"].items()},
        encode_seconds=row["encode_seconds"]["median"],
        decode_seconds=row["decode_seconds"]["median"],
        steps=row["steps"],
        distilled=row["distilled"],
    )


def markdown(report: CurvesReport, command: str) -> str:
    """The report as a table."""
    lines = heading("Step time by batch size", report.hardware, command)
    lines += [
        f"{report.rounds} rounds in turn of what a worker measures at its start; median (least - most), ms. "
        f"{report.threads} threads. A larger batch is tried while it brings throughput. Places: the batch that a "
        "worker would choose. Pictures/s: of one crop, the model's own number of steps, with full batches.",
        "",
    ]
    rows = [
        (
            row.name,
            row.precision,
            "; ".join(f"{size}: {spread.times(1000).text(1)}" for size, spread in row.step_seconds.items()),
            row.encode_seconds.times(1000).text(1),
            row.decode_seconds.times(1000).text(1),
            str(row.batch),
            f"{row.pictures:.2f}",
        )
        for row in report.rows
    ]
    titles = ("engine", "numbers", "step, by batch", "encode a crop", "decode a crop", "places", "pictures/s")
    return "\n".join([*lines, *table(titles, rows)])
