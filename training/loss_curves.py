"""The losses.csv of a run: its columns, their running means, and curves of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

mpl.use("Agg")

Numbers = npt.NDArray[np.float64]
STEP = "step"
WEIGHT = "a_"  # the balancing weights: a_task, a_fine, a_perc
SPEEDS = frozenset({"images/s", "images_per_second"})


@dataclass(frozen=True)
class LossCurves:
    """`steps` [N], and the columns [N] of losses.csv by name; NaN where a cell holds no number."""

    steps: Numbers
    columns: Mapping[str, Numbers]

    @property
    def losses(self) -> dict[str, Numbers]:
        """The loss terms."""
        named = self.columns.items()
        return {name: column for name, column in named if not name.startswith(WEIGHT) and name not in SPEEDS}

    @property
    def weights(self) -> dict[str, Numbers]:
        """The balancing weights a_*."""
        return {name: column for name, column in self.columns.items() if name.startswith(WEIGHT)}

    @property
    def speeds(self) -> dict[str, Numbers]:
        """Images a second."""
        return {name: column for name, column in self.columns.items() if name in SPEEDS}

    @property
    def steps_run(self) -> int:
        """How many steps the run has come."""
        return int(self.steps[-1]) + 1 if len(self.steps) else 0


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def read_losses(path: Path) -> LossCurves:
    """The curves of a losses.csv; a last row that a killed run has cut off is left out."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[STEP]]
    whole = [[_number(cell) for cell in row] for row in rows if len(row) == len(header)]
    table = np.array(whole, np.float64).reshape(len(whole), len(header))
    columns = {name: table[:, index] for index, name in enumerate(header)}
    return LossCurves(columns.pop(STEP), columns)


def running_mean(values: Sequence[float] | Numbers, width: int) -> Numbers:
    """Mean [N] over windows of `width`, shorter at the start; of the finite values, NaN where a window has none."""
    numbers = np.asarray(values, np.float64)
    finite = np.isfinite(numbers)
    sums = np.cumsum([0.0, *np.where(finite, numbers, 0.0)])
    counts = np.cumsum([0, *finite])
    ends = np.arange(1, len(sums))
    starts = np.maximum(ends - width, 0)
    held = counts[ends] - counts[starts]
    means = (sums[ends] - sums[starts]) / np.maximum(held, 1)
    return np.where(held > 0, means, np.nan)


def draw_curves(axes: Axes, steps: Numbers, columns: Mapping[str, Numbers], *, width: int = 50) -> None:
    """Running means on one panel; logarithmic where every number allows it."""
    curves = {name: running_mean(column, width) for name, column in columns.items()}
    for name, curve in curves.items():
        axes.plot(steps, curve, label=name, marker="." if len(steps) < 2 else None)
    known = [curve[np.isfinite(curve)] for curve in curves.values()]
    drawn = np.concatenate(known) if known else np.zeros(0)
    if len(drawn) and drawn.min() > 0:
        axes.set_yscale("log")
    axes.set_xlabel("step")
    if curves:
        axes.legend()
