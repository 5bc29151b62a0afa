"""The final report of a run: report.md with the curves of its losses, what they came to, and its sample pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.errors import DataError
from training.loss_curves import LossCurves, Numbers, draw_curves, read_losses, running_mean
from training.tables import change, markdown_table

REPORT = "report.md"
WINDOW = 50
SAMPLES_SHOWN = 6


@dataclass(frozen=True)
class ReportRecipe:
    """The folder of the run: its recipe's `output`."""

    output: Path


def report(recipe: ReportRecipe) -> Path:
    """Write the report of the run in the recipe's folder."""
    path = write_report(recipe.output)
    print(f"the report is {path}")
    return path


def write_report(folder: Path) -> Path:
    """Write report.md and its plots beside a run's losses.csv; samples/*.png and recipe.yaml are shown if they are
    there. Raises DataError without losses.csv.
    """
    source = folder / "losses.csv"
    if not source.is_file():
        raise DataError(f"{source} is missing: give the output folder of a run that has made a step")
    curves = read_losses(source)
    parts = [f"# Report of {folder.name}", _summary(curves), *_plots(curves, folder)]
    parts += _samples(folder) + _recipe(folder)
    path = folder / REPORT
    path.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return path


def _summary(curves: LossCurves) -> str:
    """Every column's mean over the first and the last steps."""
    if not len(curves.steps):
        return "No step was made."
    shown = min(WINDOW, len(curves.steps))
    lines = [_line(name, column, shown) for name, column in curves.columns.items()]
    headings = ["column", f"first {shown} steps", f"last {shown} steps", "change", "least", "most"]
    return f"{curves.steps_run} steps. Means:\n\n{markdown_table(headings, lines)}"


def _line(name: str, column: Numbers, shown: int) -> list[str]:
    finite = column[np.isfinite(column)]
    if not len(finite):
        return [name, *["-"] * 5]
    first, last = (float(running_mean(part, shown)[-1]) for part in (column[:shown], column[-shown:]))
    both_known = np.isfinite(first) and np.isfinite(last)
    extremes = [_said(float(finite.min())), _said(float(finite.max()))]
    return [name, _said(first), _said(last), change(first, last) if both_known else "-", *extremes]


def _said(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "-"


def _plots(curves: LossCurves, folder: Path) -> list[str]:
    """A picture for each group of columns that there is, as Markdown."""
    groups = (
        ("losses", "Loss terms", curves.losses),
        ("weights", "Balancing weights", curves.weights),
        ("speed", "Images a second", curves.speeds),
    )
    return [
        f"## {title}\nMeans of {WINDOW} steps.\n\n![{title}]({_plot(curves.steps, columns, folder / name)})"
        for name, title, columns in groups
        if columns and len(curves.steps)
    ]


def _plot(steps: Numbers, columns: Mapping[str, Numbers], path: Path) -> str:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    draw_curves(axes, steps, columns, width=WINDOW)
    picture = path.with_suffix(".png")
    figure.savefig(picture, dpi=90)
    pyplot.close(figure)
    return picture.name


def _samples(folder: Path) -> list[str]:
    """The sample grids, spread evenly over the run, the last one always."""
    paths = sorted((folder / "samples").glob("*.png"))
    if not paths:
        return []
    chosen = np.linspace(len(paths) - 1, 0, min(SAMPLES_SHOWN, len(paths))).round().astype(int)
    shown = [paths[index] for index in chosen]
    pictures = [f"{path.stem}\n\n![{path.stem}](samples/{path.name})" for path in shown]
    return [f"## Samples\n{len(shown)} of {len(paths)} grids, the last first.", *pictures]


def _recipe(folder: Path) -> list[str]:
    path = folder / "recipe.yaml"
    return [f"## Recipe\n```yaml\n{path.read_text(encoding='utf-8').strip()}\n```"] if path.is_file() else []
