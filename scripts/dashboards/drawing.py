"""Draws a dashboard's panels from what Prometheus answered: as Grafana lays them out, in matplotlib's look."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.dates import MINUTELY, AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import Locator, MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from scripts.dashboards.reading import Board, Panel
from scripts.dashboards.units import SUFFIX, told

Floats = NDArray[np.float64]

COLUMNS = 24
COLUMN, ROW, DPI = 0.7, 0.34, 100  # inches of a cell of Grafana's grid; dots an inch
HEAD = 0.55  # inches above the panels
PAGE, CARD, INK, PALE, WARNING = "#eef0f3", "#ffffff", "#24292e", "#7d8590", "#d1242f"
GOOD = "#1a7f37"
COLORS = ("#3274d9", "#e0752d", "#37872d", "#8f3bb8", "#c4162a", "#b8860b", "#13a3a8", "#705da0", "#64748b")
NAMED_COLORS = {
    "green": "#37872d",
    "purple": "#8f3bb8",
    "orange": "#e0752d",
    "red": "#c4162a",
    "blue": "#3274d9",
}
TIME_STEPS = (60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400)  # seconds
MOST_IN_LEGEND = 9
LONGEST_CELL = 40  # characters
MOST_EDGES = 12  # that a heat map's axis has room for
LEGEND_WIDTH = 96  # characters that fit under a panel of all columns, in one line


@dataclass(frozen=True, slots=True)
class Line:
    """One series over time: what its legend says, its labels, a value for each moment (nan where there is none)."""

    name: str
    labels: Mapping[str, str]
    values: Floats


Answers = Callable[[Panel], Sequence[Line]]


def draw(board: Board, answers: Answers, moments: Floats, caption: str) -> Figure:
    """The whole dashboard; `moments` are Unix times, `answers` gives a panel's lines over them."""
    mpl.rcParams.update(
        {"font.size": 8, "axes.edgecolor": "#c9ced6", "text.color": INK, "axes.labelcolor": INK}
    )
    rows = max(panel.fields["gridPos"]["y"] + panel.fields["gridPos"]["h"] for panel in board.panels)
    figure = Figure(figsize=(COLUMNS * COLUMN, rows * ROW + HEAD), dpi=DPI, facecolor=PAGE)
    width, height = figure.get_size_inches()
    figure.text(0.12 / width, 1 - 0.34 / height, board.title, fontsize=14, weight="bold")
    figure.text(1 - 0.12 / width, 1 - 0.34 / height, caption, fontsize=8.5, color=PALE, ha="right")
    times = np.array([datetime.fromtimestamp(moment, UTC) for moment in moments])
    for panel in board.panels:
        _draw_panel(figure, panel, answers(panel), times)
    return figure


def _draw_panel(figure: Figure, panel: Panel, lines: Sequence[Line], times: NDArray[np.object_]) -> None:
    """The card with its title, and in it what the panel's kind asks for."""
    place = panel.fields["gridPos"]
    width, height = figure.get_size_inches()
    left, top = place["x"] * COLUMN + 0.06, HEAD + place["y"] * ROW + 0.05
    wide, high = place["w"] * COLUMN - 0.12, place["h"] * ROW - 0.1
    card = (left / width, 1 - (top + high) / height)
    shape = FancyBboxPatch(
        card,
        wide / width,
        high / height,
        boxstyle="round,pad=0,rounding_size=0.003",
        transform=figure.transFigure,
        facecolor=CARD,
        edgecolor="#d8dce2",
        linewidth=0.8,
        zorder=-1,
    )
    figure.add_artist(shape)
    y = 1 - (top + 0.2) / height
    title = figure.text((left + 0.1) / width, y, panel.title, fontsize=9, weight="bold", va="center")
    unit = panel.defaults.get("unit", "")
    if panel.kind == "timeseries" and unit.startswith(SUFFIX):
        end = title.get_window_extent().x1 / DPI + 0.1
        figure.text(end / width, y, unit.removeprefix(SUFFIX).strip(), fontsize=8, color=PALE, va="center")
    box = Box(left, top, wide, high, width, height)
    {"timeseries": _graph, "stat": _number, "heatmap": _heat_map, "table": _table}[panel.kind](
        figure, box, panel, lines, times
    )


@dataclass(frozen=True, slots=True)
class Box:
    """Where a panel's card is, in inches from the page's top left, and the page's size."""

    left: float
    top: float
    wide: float
    high: float
    page_wide: float
    page_high: float

    def axes(self, figure: Figure, left: float, top: float, right: float, bottom: float) -> Axes:
        """Axes inside the card, that many inches from its edges."""
        return figure.add_axes(
            (
                (self.left + left) / self.page_wide,
                1 - (self.top + self.high - bottom) / self.page_high,
                (self.wide - left - right) / self.page_wide,
                (self.high - top - bottom) / self.page_high,
            )
        )


def _graph(figure: Figure, box: Box, panel: Panel, lines: Sequence[Line], times: NDArray[np.object_]) -> None:
    custom = panel.defaults["custom"]
    columns, shown = _legend_shape(lines, box.wide)
    axes = box.axes(figure, 0.72, 0.36, 0.14, 0.3 + 0.16 * math.ceil(shown / columns))
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    base = np.zeros(len(times))
    for line, color in zip(lines, _colors(panel, lines), strict=True):
        top = base + np.nan_to_num(line.values) if stacked else line.values
        axes.plot(times, top, color=color, linewidth=1.1, label=line.name)
        if stacked:
            axes.fill_between(times, base, top, color=color, alpha=0.3, linewidth=0)
            base = top
    _scale(axes, panel, times)
    handles = axes.get_lines()[:shown]
    _limit(axes, panel)
    names = [line.name for line in islice(lines, shown)]
    if len(lines) > shown:
        names[-1] += f", and {len(lines) - shown} more"
    axes.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.28 / (box.high - 0.66)),
        ncols=columns,
        fontsize=7.5,
        frameon=False,
        handlelength=1.2,
        columnspacing=1.2,
        borderaxespad=0,
        labelspacing=0.25,
    )


def _colors(panel: Panel, lines: Sequence[Line]) -> list[str]:
    """A colour a line: what the panel fixes for its name, or the next that is not fixed for another."""
    fixed = [_fixed_color(panel, line.name) for line in lines]
    free = cycle([color for color in COLORS if color not in fixed])
    return [color or next(free) for color in fixed]


def _fixed_color(panel: Panel, name: str) -> str | None:
    for override in panel.fields["fieldConfig"]["overrides"]:
        if re.search(override["matcher"]["options"].strip("/"), name):
            return NAMED_COLORS[override["properties"][0]["value"]["fixedColor"]]
    return None


def _legend_shape(lines: Sequence[Line], wide: float) -> tuple[int, int]:
    """How many names beside each other, and how many in all."""
    longest = max((len(line.name) for line in lines), default=1) + 5
    columns = max(1, min(len(lines), int(LEGEND_WIDTH * 2.2 * wide / (COLUMNS * COLUMN)) // longest))
    return columns, min(len(lines), MOST_IN_LEGEND)


def _scale(axes: Axes, panel: Panel, times: NDArray[np.object_]) -> None:
    """Both axes: time below, the panel's unit at the left, from 0."""
    unit = panel.defaults["unit"]
    axes.set_xlim(times[0], times[-1])
    highest = axes.dataLim.y1 if axes.dataLim.y1 > 1e-9 else max(_limits(panel), default=1.0) * 2
    axes.set_ylim(0, highest * 1.06)
    axes.yaxis.set_major_locator(_ticks(unit, highest))
    axes.yaxis.set_major_formatter(lambda value, _: told(value, "short" if unit.startswith(SUFFIX) else unit))
    axes.grid(axis="y", color="#e6e9ee", linewidth=0.7)
    _dress(axes)


def _ticks(unit: str, highest: float) -> Locator:
    """Round numbers: of bytes powers of two, of long times minutes and hours."""
    if unit == "bytes":
        return MultipleLocator(2.0 ** math.ceil(math.log2(max(highest, 4) / 4)))
    if unit == "s" and highest > TIME_STEPS[0]:
        return MultipleLocator(next((step for step in TIME_STEPS if step >= highest / 4), TIME_STEPS[-1]))
    return MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])


def _dress(axes: Axes) -> None:
    """The time axis and the frame."""
    locator = AutoDateLocator(minticks=4, maxticks=7)  # type: ignore[no-untyped-call]
    locator.intervald[MINUTELY] = [1, 2, 5, 10, 15, 30]
    axes.xaxis.set_major_locator(locator)
    seconds = np.ptp(axes.get_xlim()) * 86400 < 300  # matplotlib counts days
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S" if seconds else "%H:%M"))  # type: ignore[no-untyped-call]
    axes.tick_params(length=2, labelsize=7.5, colors=PALE)
    axes.spines[["top", "right"]].set_visible(False)


def _limit(axes: Axes, panel: Panel) -> None:
    """The threshold as a dashed line, where it is on the picture."""
    for value in _limits(panel):
        if axes.get_ylim()[0] <= value <= 20 * axes.get_ylim()[1]:
            axes.axhline(value, color=WARNING, linewidth=0.9, linestyle="--")


def _limits(panel: Panel) -> list[float]:
    steps = panel.defaults.get("thresholds", {}).get("steps", ())
    return [step["value"] for step in steps if step["value"] is not None]


def _number(
    figure: Figure, box: Box, panel: Panel, lines: Sequence[Line], times: NDArray[np.object_]
) -> None:
    defaults = panel.defaults
    values = lines[0].values if lines else np.full(len(times), np.nan)
    known = values[np.isfinite(values)]
    last = float(known[-1]) if len(known) else math.nan
    if "decimals" in defaults:
        last = round(last, int(defaults["decimals"]))
    steps = defaults["thresholds"]["steps"]
    passed = [step["color"] for step in steps if step["value"] is None or last >= step["value"]]
    color = WARNING if passed[-1] == "red" else GOOD
    axes = box.axes(figure, 0.05, 0.78, 0.05, 0.06)
    axes.fill_between(times, 0, values, color=color, alpha=0.18, linewidth=0)
    axes.plot(times, values, color=color, linewidth=1)
    axes.set_xlim(times[0], times[-1])
    axes.set_ylim(0, max(float(known.max()) * 1.15 if len(known) else 1, 1e-9))
    axes.axis("off")
    x = (box.left + box.wide / 2) / box.page_wide
    y = 1 - (box.top + 0.56) / box.page_high
    text = told(last, defaults["unit"])
    figure.text(
        x,
        y,
        text,
        fontsize=20 if len(text) < 12 else 15,
        weight="bold",
        color=color,
        ha="center",
        va="center",
    )


def _heat_map(
    figure: Figure, box: Box, panel: Panel, lines: Sequence[Line], times: NDArray[np.object_]
) -> None:
    axes = box.axes(figure, 0.72, 0.36, 0.14, 0.3)
    unit = panel.fields["options"]["yAxis"]["unit"]
    ordered = sorted(lines, key=lambda line: float(line.labels["le"]))
    below = np.array([np.nan_to_num(line.values) for line in ordered])
    counts = np.diff(below, axis=0, prepend=0)
    counts[counts <= 1e-9] = np.nan
    edges = np.arange(len(ordered) + 1)
    step = times[1] - times[0]
    axes.pcolormesh(
        np.append(times - step / 2, times[-1] + step / 2),
        edges,
        counts,
        cmap="Oranges",
        norm=PowerNorm(0.5, vmin=0),
    )
    every = 2 if len(ordered) > MOST_EDGES else 1
    axes.set_yticks(edges[1::every], [_edge(line.labels["le"], unit) for line in ordered[::every]])
    axes.grid(axis="y", color="#eef0f3", linewidth=0.6)
    axes.set_xlim(times[0], times[-1])
    _dress(axes)


def _edge(le: str, unit: str) -> str:
    return "more" if le == "+Inf" else f"≤ {told(float(le), unit)}"


def _table(
    figure: Figure, box: Box, panel: Panel, lines: Sequence[Line], _times: NDArray[np.object_]
) -> None:
    order = panel.fields["transformations"][0]["options"]["indexByName"]
    columns = sorted(order, key=lambda name: int(order[name]))
    rows = [columns, *([line.labels.get(name, "")[:LONGEST_CELL] for name in columns] for line in lines)]
    for number, row in enumerate(rows):
        y = 1 - (box.top + 0.55 + 0.26 * number) / box.page_high
        for column, text in enumerate(row):
            x = (box.left + 0.1 + column * box.wide / len(columns)) / box.page_wide
            figure.text(x, y, text, fontsize=8.5, va="center", weight="normal" if number else "bold")
