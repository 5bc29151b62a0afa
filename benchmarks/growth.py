"""How time grows: with the crops in a step, the picture's pixels, its holes and the denoising steps, one at a time.

In one process, as `moebius inpaint` does it: no queue, no server.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks.engine_tasks import GUIDANCE, Task, guided_step
from benchmarks.hardware import hardware_line, usable_cores
from benchmarks.line_fit import Line
from benchmarks.measuring import Spread, seconds_in_turn
from benchmarks.photographs import mask_with_holes, photograph
from benchmarks.tables import heading, table
from service.contracts import MAX_PIXELS, Params, Result
from service.engine.base import Engine
from service.engine.selection import open_engine
from service.settings import Settings
from service.worker.fill import fill_picture

SMALL_SIDE = 512  # of a picture where its size is not what grows
HOLED_SIDE = 2048  # of the picture with many holes: each is far enough from the next for a crop of its own
HOLE = 64  # pixels a side
SHORT_CALL = 0.2


@dataclass(frozen=True)
class Axis:
    """What grows, in which unit, and what else holds; `values` are measured. `unit` is what the line's slope is per."""

    name: str
    unit: str
    setting: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class GrowthRow:
    """One point: seconds, and the crops that the model saw, 0 where only its step was timed."""

    value: float
    seconds: Spread
    crops: int


@dataclass(frozen=True)
class Growth:
    """All points of an axis, and the line through their medians."""

    axis: Axis
    rows: list[GrowthRow]
    line: Line | None


@dataclass(frozen=True)
class GrowthReport:
    """All axes, and on what."""

    model: str
    engine: str
    hardware: str
    threads: int
    rounds: int
    axes: list[Growth]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--model", default=Settings().model)
    parser.add_argument("--backend", default="auto", help="auto, onnxruntime, torch or dummy")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32], help="crops in a step"
    )
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.25, 1, 2, 4, 8, 16])
    parser.add_argument("--holes", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 8, 12, 20, 35, 50])
    parser.add_argument("--usual-steps", type=int, default=20, help="where the steps are not what grows")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; one before them warms up")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="CPU threads of the engine")


def measure(options: argparse.Namespace) -> GrowthReport:
    """Every point of every axis, in turn. `ArtifactError` if the model or the backend is missing."""
    hardware = hardware_line()
    settings = {
        "model": options.model,
        "backend": options.backend,
        "device": options.device,
        "threads": options.threads,
        "max_batch": max(options.batches),
    }
    engine = open_engine(Settings.model_validate(settings))
    engine.warmup()
    info = engine.info
    axes = measure_axes(engine, options)
    engine.close()
    name = f"{info.backend} {info.precision}, {info.device}"
    return GrowthReport(info.model, name, hardware, options.threads, options.rounds, axes)


def measure_axes(engine: Engine, options: argparse.Namespace) -> list[Growth]:
    """The axes of an engine, their points in turn with each other's."""
    fills = {**_pictures(engine, options), **_holes(engine, options), **_steps(engine, options)}
    batches = _batches(options)
    tasks: dict[tuple[Axis, float], Task] = {
        (batches, value): guided_step(engine, int(value)) for value in batches.values
    }
    crops: dict[tuple[Axis, float], int] = {}
    for point, fill in fills.items():
        crops[point] = len(fill().boxes)
        tasks[point] = fill
    seconds = seconds_in_turn(tasks, options.rounds, at_least=SHORT_CALL)
    return [_growth(axis, seconds, crops) for axis in dict.fromkeys(axis for axis, _ in tasks)]


def _growth(
    axis: Axis, seconds: Mapping[tuple[Axis, float], list[float]], crops: Mapping[tuple[Axis, float], int]
) -> Growth:
    rows = [
        GrowthRow(value, Spread.of(seconds[axis, value]), crops.get((axis, value), 0))
        for value in axis.values
    ]
    return Growth(axis, rows, Line.through({row.value: row.seconds.median for row in rows}))


Fills = dict[tuple[Axis, float], partial[Result]]


def _batches(options: argparse.Namespace) -> Axis:
    setting = "a guided step alone, without coding and autoencoder"
    return Axis("crops in a step", "crop", setting, tuple(map(float, options.batches)))


def _pictures(engine: Engine, options: argparse.Namespace) -> Fills:
    setting = f"a JPEG in and out, one hole of {HOLE} x {HOLE}, {options.usual_steps} steps"
    axis = Axis("megapixels", "megapixel", setting, tuple(options.megapixels))
    return {
        (axis, value): _fill(engine, round((value * 1e6) ** 0.5), steps=options.usual_steps)
        for value in axis.values
    }


def _holes(engine: Engine, options: argparse.Namespace) -> Fills:
    photo = f"a JPEG of {HOLED_SIDE} x {HOLED_SIDE}"
    setting = f"holes of {HOLE} x {HOLE} on a grid in {photo}, {options.usual_steps} steps"
    axis = Axis("holes", "hole", setting, tuple(map(float, options.holes)))
    return {
        (axis, value): _fill(engine, HOLED_SIDE, steps=options.usual_steps, holes=int(value))
        for value in axis.values
    }


def _steps(engine: Engine, options: argparse.Namespace) -> Fills:
    setting = f"one hole of {HOLE} x {HOLE} in a JPEG of {SMALL_SIDE} x {SMALL_SIDE}"
    axis = Axis("denoising steps", "step", setting, tuple(map(float, options.steps)))
    return {(axis, value): _fill(engine, SMALL_SIDE, steps=int(value)) for value in axis.values}


def _fill(engine: Engine, side: int, *, steps: int, holes: int = 1) -> partial[Result]:
    params = Params(seed=0, steps=steps, guidance_scale=GUIDANCE)
    photo, mask = photograph(side, "JPEG"), mask_with_holes(side, HOLE, holes)
    return partial(fill_picture, engine, photo, mask, params, max_pixels=MAX_PIXELS)


def markdown(report: GrowthReport, command: str) -> str:
    """The report: for each axis a sentence and a table."""
    lines = heading(f"How time grows: {report.model}", report.hardware, command)
    lines += [
        f"{report.engine}; {report.threads} threads on a CPU; {report.rounds} rounds, all points in turn: median "
        "(least - most). The line is the least squares one through the medians.",
        "",
    ]
    for growth in report.axes:
        axis = growth.axis
        line = "Too few points for a line." if growth.line is None else growth.line.text(axis.unit)
        lines += [f"## With the {axis.name}", "", f"{axis.setting[0].upper()}{axis.setting[1:]}. {line}", ""]
        lines += table(
            (axis.name, "ms", f"ms for each {axis.unit}", "crops"),
            [
                (
                    f"{row.value:g}",
                    row.seconds.times(1e3).text(1),
                    f"{row.seconds.median / row.value * 1e3:,.1f}",
                    str(row.crops or ""),
                )
                for row in growth.rows
            ],
        )
    return "\n".join(lines)
