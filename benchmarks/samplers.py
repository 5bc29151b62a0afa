"""The samplers beside each other on one model: how far a run of few steps ends from one of many, and what it takes.

All start from the same noise, so that without an error of the sampler all would be one picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, cast

import numpy as np

from benchmarks.hardware import hardware_line, usable_cores
from benchmarks.measuring import Spread
from benchmarks.sampler_contenders import (
    CONTENDERS,
    FINE,
    OTHER_SPACINGS,
    REFERENCE,
    SERVED,
    SHOWN,
    Contender,
)
from benchmarks.tables import heading, table
from service.contracts import DEFAULT_GUIDANCE_SCALE
from service.denoising import Array
from service.engine.base import Engine, Tile
from service.engine.inpaint import begin_item
from service.engine.sampler import PredictionType
from service.engine.selection import open_engine
from service.settings import Settings

if TYPE_CHECKING:
    from benchmarks.sampler_cases import Case, Features

PHOTOS = Path(__file__).resolve().parents[1] / "training" / "recipes" / "tiny-photos"
SHEET_ROWS = 4


@dataclass(frozen=True)
class Measured:
    """One contender on one case: levels of 255 in the hole to the reference and to the fine run, feature distances to
    the reference's picture and to the photograph, and seconds.
    """

    levels: float
    levels_to_fine: float
    features: float
    features_to_photo: float
    seconds: float


@dataclass(frozen=True)
class Row:
    """One contender over all cases: means, the worst case's levels, and the spread of the seconds of a picture."""

    contender: Contender
    levels: float
    worst_levels: float
    levels_to_fine: float
    features: float
    features_to_photo: float
    seconds: Spread

    @classmethod
    def of(cls, contender: Contender, cases: Sequence[Measured]) -> Row:
        """From what was measured on at least one case."""
        return cls(
            contender,
            float(np.mean([case.levels for case in cases])),
            max(case.levels for case in cases),
            float(np.mean([case.levels_to_fine for case in cases])),
            float(np.mean([case.features for case in cases])),
            float(np.mean([case.features_to_photo for case in cases])),
            Spread.of([case.seconds for case in cases]),
        )


@dataclass(frozen=True)
class SamplersReport:
    """All rows, and on what."""

    model: str
    engine: str
    hardware: str
    threads: int
    photos: str
    cases: int
    guidance: float
    rows: list[Row]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--model", default=Settings().model)
    parser.add_argument("--backend", default="auto", help="auto, onnxruntime, torch or dummy")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--photos", type=Path, default=PHOTOS, help="folder; by default the repository's eight"
    )
    parser.add_argument("--most", type=int, default=16, help="photographs, the first of the folder")
    parser.add_argument("--guidance", type=float, default=DEFAULT_GUIDANCE_SCALE)
    parser.add_argument(
        "--sheet", type=Path, help="where to draw the first pictures as a PNG; not at all if left out"
    )


def measure(options: argparse.Namespace) -> SamplersReport:
    """Every contender on every case, in turn."""
    settings = Settings(
        model=options.model, backend=options.backend, device=options.device, threads=usable_cores()
    )
    engine = open_engine(settings)
    try:
        engine.warmup()
        return measure_on(engine, options)
    finally:
        engine.close()


def measure_on(engine: Engine, options: argparse.Namespace) -> SamplersReport:
    """As `measure`, on an engine that is open."""
    from benchmarks.sampler_cases import Features, sampler_cases
    from benchmarks.sampler_sheet import draw_sheet

    features, hardware = Features(), hardware_line()
    measured: dict[Contender, list[Measured]] = {contender: [] for contender in CONTENDERS}
    shown: list[tuple[Case, list[Array]]] = []
    for number, case in enumerate(sampler_cases(options.photos, engine.info.image_size, options.most)):
        fills, seconds = fill_in_turn(engine, case, number, options.guidance)
        for contender, row in judge(case, fills, seconds, features).items():
            measured[contender].append(row)
        if len(shown) < SHEET_ROWS:
            shown.append((case, [fills[contender] for contender in SHOWN]))
    if options.sheet is not None:
        draw_sheet(shown, [contender.name for contender in SHOWN], options.sheet)
    info = engine.info
    return SamplersReport(
        info.model,
        f"{info.backend} {info.precision}, {info.device}",
        hardware,
        usable_cores(),
        options.photos.name,
        len(measured[REFERENCE]),
        options.guidance,
        [Row.of(contender, cases) for contender, cases in measured.items()],
    )


def fill_in_turn(
    engine: Engine, case: Case, number: int, guidance: float
) -> tuple[dict[Contender, Array], dict[Contender, float]]:
    """Each contender's fill [3, s, s] of the case and the seconds that it took; their order turns from case to case."""
    from benchmarks.sampler_cases import tile_of

    tile = tile_of(case)
    fills: dict[Contender, Array] = {}
    seconds: dict[Contender, float] = {}
    for contender in CONTENDERS if number % 2 else reversed(CONTENDERS):
        started = perf_counter()
        fills[contender] = fill(engine, tile, contender, number, guidance)
        seconds[contender] = perf_counter() - started
    return fills, seconds


def fill(engine: Engine, tile: Tile, contender: Contender, seed: int, guidance: float) -> Array:
    """One fill [3, s, s] in [-1, 1], from the photograph to the picture."""
    run = contender.table(guidance, cast("PredictionType", engine.info.prediction_type))
    (encoded,) = engine.encode([tile], with_image=False)
    state = begin_item(engine, encoded, run, seed=seed, crop=0)
    for row in run.rows:
        engine.step([state], [row])
    picture: Array = engine.decode([state])[0]
    return picture


def judge(
    case: Case, fills: dict[Contender, Array], seconds: dict[Contender, float], features: Features
) -> dict[Contender, Measured]:
    """What is measured of each fill of one case."""
    from benchmarks.sampler_cases import filled, levels_between

    photo, reference = features.of(case.photo), features.of(filled(case, fills[REFERENCE]))
    measured: dict[Contender, Measured] = {}
    for contender, picture in fills.items():
        maps = features.of(filled(case, picture))
        measured[contender] = Measured(
            levels_between(case, picture, fills[REFERENCE]),
            levels_between(case, picture, fills[FINE]),
            features.distance(maps, reference),
            features.distance(maps, photo),
            seconds[contender],
        )
    return measured


def markdown(report: SamplersReport, command: str) -> str:
    """The report as tables: what requests get, and other spacings of the timesteps."""
    rows = {row.contender: row for row in report.rows}
    lines = heading(f"Samplers, {report.model}", report.hardware, command)
    lines += [
        f"{report.engine}, {report.threads} threads, guidance {report.guidance:g}, strength 1, {report.cases} "
        f"photographs of {report.photos} with a hole each, one crop a picture, the contenders in turn. Levels are the "
        "mean |difference| in the hole in 1/255, before rounding; feature distances are those of the model card, of "
        "the whole picture. All runs of a photograph start from the same noise.",
        "",
    ]
    lines += _rows([rows[contender] for contender in (REFERENCE, FINE, *SERVED)])
    lines += ["## Other spacings of the timesteps", ""]
    lines += _rows([rows[contender] for contender in OTHER_SPACINGS])
    return "\n".join(lines)


def _rows(rows: Sequence[Row]) -> list[str]:
    return table(
        (
            "sampler, steps",
            "timesteps",
            f"levels to {REFERENCE.name} (worst photograph)",
            f"levels to {FINE.name}",
            f"feature distance to {REFERENCE.name}",
            "feature distance to the photograph",
            "seconds a picture",
        ),
        [
            (
                row.contender.name,
                row.contender.spacing,
                f"{row.levels:.2f} ({row.worst_levels:.2f})",
                f"{row.levels_to_fine:.2f}",
                f"{row.features:.4f}",
                f"{row.features_to_photo:.4f}",
                row.seconds.text(2),
            )
            for row in rows
        ],
    )
