"""What pictures cost beside the device: CPU seconds and bytes by megapixels, at the edge and in a worker's threads."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time
from typing import TypeVar

import numpy as np

from benchmarks.hardware import hardware_line
from benchmarks.measuring import Spread
from benchmarks.photographs import JPEG_QUALITY, mask_with_holes, photograph
from benchmarks.tables import heading, table
from service.contracts import MAX_PIXELS, MAX_UPLOAD_BYTES, Params
from service.imaging.crop_count import crop_count
from service.imaging.decode import inspect_picture
from service.imaging.mask import decode_mask
from service.imaging.retouch import Retouch, finish, prepare

MEGAPIXELS = (0.25, 1.0, 3.0, 12.0, 24.0, 48.0)
MODEL_SIZE = 512
HOLE = 0.2  # of each side

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CodingRow:
    """One size: bytes of the upload (photo and mask) and of the answer, CPU seconds at the edge and in a worker."""

    megapixels: float
    upload_bytes: int
    answer_bytes: int
    check_seconds: Spread
    prepare_seconds: Spread
    finish_seconds: Spread


@dataclass(frozen=True)
class CodingReport:
    """All sizes, and on what."""

    hardware: str
    rounds: int
    rows: list[CodingRow]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--rounds", type=int, default=5, help="of every size, in turn")


def measure(options: argparse.Namespace) -> CodingReport:
    """Every size, in turn."""
    hardware = hardware_line()
    uploads = {size: photo_and_mask(size) for size in MEGAPIXELS}
    seconds: dict[float, list[tuple[float, float, float]]] = {size: [] for size in MEGAPIXELS}
    answers: dict[float, int] = {}
    for number in range(options.rounds + 1):  # the first round warms up
        for size, (photo, mask) in uploads.items():
            *took, answers[size] = one_request(photo, mask)
            if number:
                seconds[size].append((took[0], took[1], took[2]))
    rows = [
        CodingRow(
            size,
            len(photo) + len(mask),
            answers[size],
            *(Spread.of([times[part] for times in seconds[size]]) for part in range(3)),
        )
        for size, (photo, mask) in uploads.items()
    ]
    return CodingReport(hardware, options.rounds, rows)


def photo_and_mask(megapixels: float) -> tuple[bytes, bytes]:
    """A photograph of so many pixels as JPEG, and a mask with one square hole as PNG."""
    side = round((megapixels * 1e6) ** 0.5)
    return photograph(side, "JPEG"), mask_with_holes(side, round(HOLE * side))


def one_request(photo: bytes, mask: bytes) -> tuple[float, float, float, int]:
    """CPU seconds of the edge's check, of decoding and of composing and encoding; and the answer's bytes."""
    params = Params(seed=0, steps=20, guidance_scale=2.0)
    check, _ = _timed(lambda: _check(photo, mask, params))
    decode, retouch = _timed(
        lambda: prepare(photo, mask, params, model_size=MODEL_SIZE, max_pixels=MAX_PIXELS)
    )
    fills = _fills(retouch)
    encode, picture = _timed(lambda: finish(retouch, fills, params))
    return check, decode, encode, len(picture.data)


def _check(photo: bytes, mask: bytes, params: Params) -> int:
    header = inspect_picture(photo, max_bytes=MAX_UPLOAD_BYTES, max_pixels=MAX_PIXELS)
    flags = decode_mask(mask, (header.width, header.height), params.mask_polarity, max_pixels=MAX_PIXELS)
    return crop_count(flags, params, MODEL_SIZE)


def _fills(retouch: Retouch) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.zeros((len(retouch.tiles), 3, MODEL_SIZE, MODEL_SIZE), np.float32)


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of this thread, which what else the machine does hardly changes."""
    started = thread_time()
    answer = call()
    return thread_time() - started, answer


def markdown(report: CodingReport, command: str) -> str:
    """The report as a table."""
    lines = heading("What pictures cost beside the device", report.hardware, command)
    lines += [
        f"CPU seconds of one thread, {report.rounds} rounds in turn: median (least - most). A square photograph as "
        f"JPEG (quality {JPEG_QUALITY}), a square hole of {HOLE:.0%} of each side, crops for a model of "
        f"{MODEL_SIZE} pixels.",
        "",
    ]
    rows = [
        (
            f"{row.megapixels:g}",
            *(f"{size:,}" for size in (row.upload_bytes, row.answer_bytes)),
            *(spread.text(3) for spread in (row.check_seconds, row.prepare_seconds, row.finish_seconds)),
        )
        for row in report.rows
    ]
    titles = (
        "megapixels",
        "upload, bytes",
        "answer, bytes",
        "edge: check",
        "worker: decode",
        "worker: encode",
    )
    return "\n".join([*lines, *table(titles, rows)])
