"""Scores as Markdown tables: of one evaluation, of an earlier model beside a new one, and in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """A column: the key of the scores, its heading, digits after the point, and which of two is better."""

    key: str
    heading: str
    digits: int
    better: Callable[[Iterable[float]], float]

    def shown(self, row: Row) -> str:
        """The number, or "-" where there is none."""
        value = row.get(self.key)
        return "-" if value is None else f"{value:.{self.digits}f}"


MEASURES = (
    Measure("psnr", "PSNR in the hole, dB (more is better)", 2, max),
    Measure("ssim", "SSIM in the hole (more)", 3, max),
    Measure("feature_distance", "feature distance (less)", 4, min),
    Measure("frechet", "Frechet feature distance (less)", 2, min),
)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def of_kinds(scores: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each kind of hole, in their order."""
    kinds: dict[str, list[Row]] = {}
    for row in scores:
        kinds.setdefault(row["kind"], []).append(row)
    return kinds


def marked(measure: Measure, rows: Sequence[Row]) -> list[str]:
    """One measure of several methods, the best in bold."""
    known = [row[measure.key] for row in rows if row.get(measure.key) is not None]
    best = measure.better(known) if known else None
    cells = [(measure.shown(row), row.get(measure.key)) for row in rows]
    return [f"**{cell}**" if value is not None and value == best else cell for cell, value in cells]


def score_table(scores: Sequence[Row]) -> str:
    """The scores, methods below each other, the best of each kind of hole in bold."""
    headings = ["holes", "method", *(measure.heading for measure in MEASURES)]
    lines: list[list[str]] = []
    for kind, rows in of_kinds(scores).items():
        columns = [marked(measure, rows) for measure in MEASURES]
        for row, cells in zip(rows, zip(*columns, strict=True), strict=True):
            lines.append([kind, row["method"], *cells, str(row["forwards"]), f"{row['seconds']:.2f}"])
    return markdown_table([*headings, "forwards a picture", "seconds a picture"], lines)


def before_and_after_table(before: Sequence[Row], after: Sequence[Row]) -> str:
    """Two models' rows of the same kinds of holes side by side, with the change of each measure in per cent."""
    headings = ["holes"]
    for measure in MEASURES:
        headings += [f"{measure.heading}, before", "after", "change"]
    later = {row["kind"]: row for row in after}
    lines = []
    for row in before:
        line, new = [row["kind"]], later[row["kind"]]
        for measure in MEASURES:
            line += [measure.shown(row), measure.shown(new), change(row[measure.key], new[measure.key])]
        lines.append(line)
    return markdown_table(headings, lines)


def change(before: float | None, after: float | None) -> str:
    """By how many per cent a number went up or down."""
    return "-" if not before or after is None else f"{100 * (after - before) / before:+.1f} %"


def comparison(scores: Sequence[Row], name: str) -> str:
    """One line a rival: by how much the model's feature distance is below or above, over all holes."""
    overall = {row["method"]: row["feature_distance"] for row in scores if row["kind"] == "all"}
    ours = overall.pop(name)
    lines = []
    for rival, distance in overall.items():
        share = 100 * (distance - ours) / distance
        word = "below" if share >= 0 else "above"
        lines.append(f"- feature distance to the true photograph {abs(share):.1f} % {word} {rival}'s")
    return "\n".join(lines)
