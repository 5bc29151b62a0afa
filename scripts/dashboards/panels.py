"""The kinds of panels, each with title, description, unit and queries: how they look is decided here alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common as looks
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.builders.heatmap import (
    FilterValueRange,
    HeatmapColorOptions,
    RowsHeatmapOptions,
    YAxisConfig,
)
from grafana_foundation_sdk.builders.heatmap import Panel as HeatMap
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery as AnyQuery
from grafana_foundation_sdk.models import common, dashboard, heatmap, prometheus

from scripts.dashboards.frame import DATASOURCE

FULL, HALF, THIRD, SIXTH = 24, 12, 8, 4  # columns of Grafana's 24
STAT_HEIGHT, TABLE_HEIGHT, HEIGHT = 4, 6, 8
GREEN, RED = "green", "red"
STATUS_COLORS = {"^2": GREEN, "^429": "orange", "^5": RED}


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and what its series are called: `{{label}}` stands for a label's value."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Limit:
    """Where green becomes red: above `value`, or below it where `below`."""

    value: float
    below: bool = False


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    span: int = THIRD,
    limit: Limit | None = None,
    stacked: bool = False,
    colors: Mapping[str, str] | None = None,
) -> TimeSeries:
    """Lines over time, from 0. `colors` are Grafana's names of them, by a pattern of the legend's names."""
    legend = looks.VizLegendOptions().show_legend(True).calcs(["mean", "max", "lastNotNull"])
    legend = legend.display_mode(common.LegendDisplayMode.TABLE).placement(common.LegendPlacement.BOTTOM)
    tooltip = looks.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    panel = TimeSeries().title(title).description(description).datasource(DATASOURCE)
    panel = panel.unit(unit).min(0).span(span).height(HEIGHT).targets(_targets(queries))
    panel = panel.legend(legend).tooltip(tooltip.sort(common.SortOrder.DESCENDING))
    panel = panel.line_width(1).fill_opacity(30 if stacked else 8).show_points(common.VisibilityMode.NEVER)
    if stacked:
        panel = panel.stacking(looks.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    for pattern, color in (colors or {}).items():
        fixed = dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})
        panel = panel.override_by_regexp(f"/{pattern}/", [fixed])
    if limit is not None:
        style = looks.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_thresholds(limit)).thresholds_style(style)
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    expression: str,
    *,
    limit: Limit | None = None,
    decimals: int | None = None,
) -> Stat:
    """The last value in large digits over its course; red beyond the limit."""
    last = looks.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)
    panel = Stat().title(title).description(description).datasource(DATASOURCE)
    panel = panel.unit(unit).span(SIXTH).height(STAT_HEIGHT).targets(_targets([Query(expression, title)]))
    panel = panel.reduce_options(last).color_mode(common.BigValueColorMode.VALUE)
    panel = panel.graph_mode(common.BigValueGraphMode.AREA).thresholds(_thresholds(limit))
    return panel if decimals is None else panel.decimals(decimals)


def heat_map(title: str, description: str, unit: str, buckets: str, *, span: int = HALF) -> HeatMap:
    """A histogram over time; `buckets` is its `_bucket` series by `le`, as increases."""
    target = _target(Query(buckets, "{{le}}"), "A").format(prometheus.PromQueryFormat.HEATMAP)
    colors = HeatmapColorOptions().mode(heatmap.HeatmapColorMode.SCHEME).scheme("Oranges")
    panel = HeatMap().title(title).description(description).datasource(DATASOURCE)
    panel = panel.span(span).height(HEIGHT).with_target(target).calculate(False)
    panel = panel.color(colors.steps(64).exponent(0.5).fill("dark-orange").reverse(False))
    panel = panel.y_axis(YAxisConfig().unit(unit).axis_placement(common.AxisPlacement.LEFT))
    panel = panel.rows_frame(RowsHeatmapOptions().layout(common.HeatmapCellLayout.AUTO))
    return panel.cell_gap(1).show_legend().filter_values(FilterValueRange().le(1e-9))


def table(title: str, description: str, expression: str, *columns: str) -> Table:
    """The labels `columns` of every series now."""
    target = _target(Query(expression, ""), "A").instant().format(prometheus.PromQueryFormat.TABLE)
    order: dict[str, object] = {name: index for index, name in enumerate(columns)}
    transformation = dashboard.DataTransformerConfig(
        id_val="organize", options={"excludeByName": {"Time": True, "Value": True}, "indexByName": order}
    )
    panel = Table().title(title).description(description).datasource(DATASOURCE)
    panel = panel.span(FULL).height(TABLE_HEIGHT).with_target(target).with_transformation(transformation)
    return panel.cell_height(common.TableCellHeight.SM).show_header(True)


def _targets(queries: Sequence[Query]) -> list[Builder[AnyQuery]]:
    return [_target(query, name) for query, name in zip(queries, "ABCDEFGH", strict=False)]


def _target(query: Query, name: str) -> Dataquery:
    target = Dataquery().ref_id(name).datasource(DATASOURCE).expr(query.expression)
    return target.legend_format(query.legend).editor_mode(prometheus.QueryEditorMode.CODE).range()


def _thresholds(limit: Limit | None) -> ThresholdsConfig:
    """Green, and red beyond the limit."""
    below, above = (RED, GREEN) if limit is not None and limit.below else (GREEN, RED)
    steps = [dashboard.Threshold(value=None, color=below)]
    if limit is not None:
        steps.append(dashboard.Threshold(value=limit.value, color=above))
    return ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)
