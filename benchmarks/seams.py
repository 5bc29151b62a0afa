"""Seams, tone and sharpness of fills: crops with tone matching and feather beside the plain ways of doing it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.hardware import hardware_line, usable_cores
from benchmarks.seam_holes import HOLES, hole_in
from benchmarks.seam_measures import Bytes8, Flags, Seam, measure_seam
from benchmarks.tables import heading, table
from service.contracts import Params, Strategy
from service.engine.base import Engine
from service.engine.selection import open_engine
from service.imaging.feather import automatic_growth
from service.settings import Settings
from service.worker.fill import fill_picture

MAX_PIXELS = 50_000_000
PLAIN = Params(seed=7, dilate=0, feather=0, color_match=False)
THE_PHOTOGRAPH = "the photograph itself"
OURS = "ours: crops, tone matched, feathered"
PLAIN_CROP = "plain crop: neither tone nor feather"
PLAIN_RESIZE = "plain resize: the whole photograph made smaller"
WAYS: dict[str, Params | None] = {
    THE_PHOTOGRAPH: None,
    OURS: Params(seed=7),
    PLAIN_CROP: PLAIN.model_copy(update={"strategy": Strategy.CROP}),
    PLAIN_RESIZE: PLAIN.model_copy(update={"strategy": Strategy.RESIZE}),
}


@dataclass(frozen=True)
class Row:
    """One way on all photographs: the mean seam, and on how many."""

    way: str
    seam: Seam
    photographs: int


@dataclass(frozen=True)
class SeamsReport:
    """The rows by the kind of hole, and on what."""

    model: str
    engine: str
    hardware: str
    rows: dict[str, list[Row]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--model", default="moebius-nano-4step")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photographs (JPEG)")
    parser.add_argument("--most", type=int, default=64, help="of the folder's photographs, at most")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="CPU threads of the engine")


def measure(options: argparse.Namespace) -> SeamsReport:
    """Every way on every photograph. `ArtifactError` if the model is missing."""
    hardware = hardware_line()
    engine = open_engine(Settings.model_validate({"model": options.model, "threads": options.threads}))
    paths = sorted(options.photos.glob("*.jpg"))[: options.most]
    seams: dict[str, dict[str, list[Seam]]] = {kind: {way: [] for way in WAYS} for kind in HOLES}
    for number, path in enumerate(paths):
        photo = np.asarray(Image.open(path).convert("RGB"))
        for kind in HOLES:
            for way, seam in seams_of(engine, photo, hole_in(photo.shape[:2], kind, number)):
                seams[kind][way].append(seam)
    info = engine.info
    return report_of(seams, info.model, f"{info.backend} {info.precision}, {info.device}", hardware)


def report_of(
    seams: Mapping[str, Mapping[str, list[Seam]]], model: str, engine: str, hardware: str
) -> SeamsReport:
    """The means of what was measured, by kind of hole and way."""
    rows = {
        kind: [Row(way, Seam.mean(measured), len(measured)) for way, measured in of_kind.items()]
        for kind, of_kind in seams.items()
    }
    return SeamsReport(model, engine, hardware, rows)


def seams_of(engine: Engine, photo: Bytes8, hole: Flags) -> Iterator[tuple[str, Seam]]:
    """Each way's seam in one photograph [H, W, 3], looked for as far out as the widest of them reaches."""
    reach = 2 * automatic_growth(photo.shape[1], photo.shape[0], int(np.count_nonzero(hole)))
    for way, params in WAYS.items():
        picture = photo if params is None else filled(engine, photo, hole, params)
        yield way, measure_seam(picture, hole, reach)


def filled(engine: Engine, photo: Bytes8, hole: Flags, params: Params) -> Bytes8:
    """The photograph with its hole filled."""
    files = (_png(photo), _png(hole.astype(np.uint8) * 255))
    (picture,) = fill_picture(engine, *files, params, max_pixels=MAX_PIXELS).pictures
    return np.asarray(Image.open(BytesIO(picture)))


def _png(pixels: Bytes8) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def markdown(report: SeamsReport, command: str) -> str:
    """A table for each kind of hole."""
    lines = heading(f"Seams: {report.model}", report.hardware, command)
    lines += [
        f"{report.engine}. Means over photographs, each with one hole that holds nothing to be removed: the photograph "
        "itself says what is natural. *Edge*: the mean gradient along the contour where it is largest, from the hole's "
        "edge to where the blending ends, over the mean gradient inside the hole. *Tone*: levels of 255 between the 8 "
        "pixels inside the hole and the 8 outside, mean of 8 directions. *Sharpness*: mean |Laplacian| in the hole "
        "over that of the 32 pixels around it. What a model can't imagine is no matter of seams: a small one blurs "
        "every hole.",
        "",
    ]
    for kind, rows in report.rows.items():
        lines += [f"## {HOLES.get(kind, kind)}, {rows[0].photographs} photographs", ""]
        lines += table(
            ("way", "edge", "tone", "sharpness"),
            [
                (row.way, f"{row.seam.edge:.2f}", f"{row.seam.tone:.1f}", f"{row.seam.sharpness:.2f}")
                for row in rows
            ],
        )
    return "\n".join(lines)
