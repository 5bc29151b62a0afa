"""The dashboards against a live Prometheus: whatever a panel asks has an answer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import generate_dashboards
from scripts.dashboards.reading import Board, Panel, filled, read_board
from service import metrics
from tests.monitoring.prometheus_server import LivePrometheus

GRAFANA = generate_dashboards.FOLDER.parent
BOARDS = {path.stem: read_board(path) for path in sorted(generate_dashboards.FOLDER.glob("*.json"))}
PANELS = [
    pytest.param(board, panel, id=f"{name}: {panel.title}")
    for name, board in BOARDS.items()
    for panel in board.panels
]
TIMES = {"__rate_interval": "10s", "__range": "5m"}  # the first as wide as in Grafana: several scrapes


def has_numbers(series: list[dict[str, Any]]) -> bool:
    return any(math.isfinite(float(value)) for one in series for _, value in one["values"])


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_each_query_of_a_panel_has_an_answer(
    board: Board, panel: Panel, live_prometheus: LivePrometheus
) -> None:
    values = board.values(live_prometheus.query) | TIMES
    for expression, _ in panel.queries:
        asked = filled(expression, values)
        assert has_numbers(live_prometheus.query_range(asked)), f"no data: {asked}"


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_each_legend_names_labels_that_the_answer_has(
    board: Board, panel: Panel, live_prometheus: LivePrometheus
) -> None:
    values = board.values(live_prometheus.query) | TIMES
    for expression, legend in panel.queries:
        labels = set(re.findall(r"{{(\w+)}}", legend))
        answer = live_prometheus.query_range(filled(expression, values))
        assert any(labels <= set(one["metric"]) for one in answer), (
            legend,
            [one["metric"] for one in answer],
        )


def test_the_variables_find_the_edge_and_the_workers(live_prometheus: LivePrometheus) -> None:
    values = BOARDS["batching"].values(live_prometheus.query)
    assert values["job"] == "(edge|worker)"
    assert (values["edge"].count("|"), values["worker"].count("|")) == (0, 1)
    assert values["model"] == r"(moebius\-nano)"


def test_a_marked_alert_is_one_that_fires(live_prometheus: LivePrometheus) -> None:
    for board in BOARDS.values():
        (annotation,) = board.fields["annotations"]["list"]
        answer = live_prometheus.query(annotation["expr"])
        assert answer
        assert all(one["metric"]["alertstate"] == "firing" for one in answer)


def test_every_metric_of_the_service_is_on_a_dashboard() -> None:
    asked = " ".join(
        expression for board in BOARDS.values() for panel in board.panels for expression, _ in panel.queries
    )
    assert [
        name for name in metric_names() if not re.search(rf"\b{name}(_total|_bucket|_sum)?\b", asked)
    ] == []


def metric_names() -> Iterator[str]:
    metrics.worker_ready()
    metrics.last_step_timestamp()
    for metric in metrics.REGISTRY.collect():
        if metric.name.startswith("inpaint_"):
            yield metric.name


def test_every_panel_says_what_it_shows_and_in_which_unit() -> None:
    for board in BOARDS.values():
        for panel in board.panels:
            assert panel.fields["description"].endswith("."), panel.title
            assert panel.kind == "table" or "unit" in str(panel.fields), panel.title


def test_the_panels_fill_the_page_without_overlap() -> None:
    for name, board in BOARDS.items():
        cells = [cell for panel in board.panels for cell in cells_of(panel)]
        assert len(cells) == len(set(cells)), name
        rows = max(row for row, _ in cells) + 1
        assert len(cells) == rows * 24, name


def cells_of(panel: Panel) -> Iterator[tuple[int, int]]:
    place = panel.fields["gridPos"]
    for row in range(place["y"], place["y"] + place["h"]):
        for column in range(place["x"], place["x"] + place["w"]):
            yield row, column


def test_the_dashboards_are_linked_by_their_tag_and_have_addresses_of_their_own() -> None:
    assert len({board.fields["uid"] for board in BOARDS.values()}) == len(BOARDS) == 4
    for board in BOARDS.values():
        (link,) = board.fields["links"]
        assert set(link["tags"]) <= set(board.fields["tags"])
        assert link["includeVars"]
        assert link["keepTime"]


def provisioned(kind: str) -> dict[str, Any]:
    (path,) = (GRAFANA / "provisioning" / kind).glob("*.yml")
    (one,) = yaml.safe_load(path.read_text())[kind.replace("dashboards", "providers")]
    return dict(one)


def test_rates_are_taken_over_the_scrapes_that_prometheus_makes() -> None:
    configuration = yaml.safe_load((GRAFANA.parent / "prometheus" / "prometheus.yml").read_text())
    assert (
        provisioned("datasources")["jsonData"]["timeInterval"] == configuration["global"]["scrape_interval"]
    )


def test_the_data_source_is_called_as_the_dashboards_expect() -> None:
    source = provisioned("datasources")
    assert (source["uid"], source["type"]) == ("prometheus", "prometheus")


def test_the_dashboards_are_read_from_an_absolute_folder() -> None:
    assert Path(provisioned("dashboards")["options"]["path"]).is_absolute()
