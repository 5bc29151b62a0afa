"""What requests over HTTP took, part by part, and how it looks as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measuring import Spread
from benchmarks.tables import heading, table

HOLE = 128  # pixels a side, at every size: one crop
ORDER = ("queue", "decode", "regions", "vae_encode", "denoise", "vae_decode", "compose", "encode")
INSIDE = {
    "regions": "decode",
    "compose": "encode",
}  # what a stage contains where the service does not tell it apart


@dataclass(frozen=True)
class E2eRow:
    """One format and size: bytes of the upload (picture and mask) and of the answer; milliseconds in all, and of each
    part in the order of a request. `inside` are milliseconds of what the parts contain, measured apart in the
    benchmark's own process on the same files: cutting the regions, which the decode stage does, and composing.
    """

    format: str
    side: int
    upload_bytes: int
    answer_bytes: int
    total: Spread
    parts: dict[str, Spread]
    inside: dict[str, Spread]


@dataclass(frozen=True)
class E2eReport:
    """All that was measured, and on what."""

    hardware: str
    model: str
    backend: str
    rounds: int
    steps: int | None
    rows: list[E2eRow]


def markdown(report: E2eReport, command: str) -> str:
    """The report: a row for each picture, a column for each part of its time."""
    steps = "the model's own number of steps" if report.steps is None else f"{report.steps} steps"
    parts = list(dict.fromkeys(part for row in report.rows for part in row.parts))
    inside = list(dict.fromkeys(part for row in report.rows for part in row.inside))
    lines = heading(f"A request over HTTP: {report.model}", report.hardware, command)
    lines += [
        f"{report.backend}; {steps}; one hole of {HOLE} x {HOLE}; {report.rounds} rounds, one request at a time, over "
        "the loopback: milliseconds, median (least - most).",
        "",
        "Upload and download are the client's own clock, the stages the answer's Server-Timing. Other is what is left "
        "of the client's time: the edge's checks, storing in the queue and fetching from it, and what waits between.",
        "",
        *table(
            ("", "upload, bytes", "answer, bytes", "in all", *parts),
            [
                (
                    f"{row.format} {row.side} x {row.side}",
                    f"{row.upload_bytes:,}",
                    f"{row.answer_bytes:,}",
                    row.total.text(0),
                    *(row.parts[part].text(1) if part in row.parts else "" for part in parts),
                )
                for row in report.rows
            ],
        ),
        *_inside(report, inside),
    ]
    return "\n".join(lines)


def _inside(report: E2eReport, inside: Sequence[str]) -> list[str]:
    """What stages contain, if the answers do not tell it."""
    if not inside:
        return []
    contained = " and ".join(f"{part} of {INSIDE[part]}" for part in inside)
    return [
        f"Part of these: {contained}, measured in this process on the same files.",
        "",
        *table(
            ("", *(f"{part}, ms" for part in inside)),
            [
                (f"{row.format} {row.side} x {row.side}", *(row.inside[part].text(1) for part in inside))
                for row in report.rows
            ],
        ),
    ]
