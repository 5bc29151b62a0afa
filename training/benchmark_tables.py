"""A benchmark's numbers as Markdown: the paper's table with the published numbers, and every measure set by set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from training.published import PUBLISHED, SETS
from training.tables import markdown_table

# Columns of the table of every measure: attribute, heading, digits after the point.
COLUMNS = (
    ("fid", "FID (less is better)", 2),
    ("kid", "KID (less)", 4),
    ("lpips", "LPIPS (less)", 3),
    ("psnr", "PSNR in the hole, dB (more)", 2),
    ("ssim", "SSIM in the hole (more)", 3),
    ("feature_distance", "feature distance (less)", 4),
    ("frechet", "Frechet feature distance (less)", 2),
    ("seconds", "seconds a picture", 2),
)


@dataclass(frozen=True)
class SetScore:
    """One method on one set; None where a measure can't be had. `forwards` are network evaluations a picture."""

    set: str
    method: str
    pictures: int
    forwards: int
    fid: float | None
    kid: float | None
    lpips: float | None
    psnr: float
    ssim: float
    feature_distance: float
    frechet: float | None
    seconds: float


@dataclass(frozen=True)
class _PaperRow:
    """One method's (FID, LPIPS) by set."""

    method: str
    cells: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _paper_rows(scores: Sequence[SetScore]) -> list[_PaperRow]:
    rows: dict[str, _PaperRow] = {}
    for known in PUBLISHED:
        rows.setdefault(known.method, _PaperRow(known.method)).cells[known.set] = (known.fid, known.lpips)
    for ours in scores:
        rows.setdefault(ours.method, _PaperRow(ours.method)).cells[ours.set] = (ours.fid, ours.lpips)
    return list(rows.values())


def paper_table(scores: Sequence[SetScore]) -> str:
    """The paper's layout: a method a row, FID and LPIPS of each of its sets; then sets that it does not have."""
    sets = list(dict.fromkeys([*SETS, *(row.set for row in scores)]))
    headings = ["method", *(f"{name} {measure}" for name in sets for measure in ("FID", "LPIPS"))]
    lines = []
    for row in _paper_rows(scores):
        line = [row.method]
        for name in sets:
            fid, lpips = row.cells.get(name, (None, None))
            line += [_number(fid, 2), _number(lpips, 3)]
        lines.append(line)
    return markdown_table(headings, lines)


def measures_table(scores: Sequence[SetScore]) -> str:
    """Every measure, a set and a method a row."""
    headings = ["set", "method", "pictures", "forwards a picture", *(heading for _, heading, _ in COLUMNS)]
    lines = [
        [row.set, row.method, str(row.pictures), str(row.forwards)]
        + [_number(getattr(row, name), digits) for name, _, digits in COLUMNS]
        for row in scores
    ]
    return markdown_table(headings, lines)


def benchmark_page(scores: Sequence[SetScore], reasons: Mapping[str, str], skipped: int) -> str:
    """The whole page: both tables, what could not be had, and how many pairs were skipped."""
    notes = [f"- not available: {name}: {reason}" for name, reason in reasons.items()]
    if skipped:
        notes.append(f"- {skipped} pairs were skipped: see skipped.tsv")
    parts = ["# Benchmark", paper_table(scores), measures_table(scores), "\n".join(notes)]
    return "\n\n".join(part for part in parts if part) + "\n"
