"""The dashboards against a live Prometheus: whatever a panel asks has an answer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from importlib import metadata
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
UNSEEN = ('code=~"50', 'code=~"INTERNAL')  # a service that works has none of these answers
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


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("service", "Workers ready"),
        ("resources", "Edges up"),
        ("resources", "Workers up"),
        ("resources", "Restarts"),
    ],
)
def test_a_number_of_processes_is_0_where_none_is_left(
    name: str, title: str, live_prometheus: LivePrometheus
) -> None:
    """Of no answer Grafana would show the last one, from when they were there."""
    (panel,) = (panel for panel in BOARDS[name].panels if panel.title == title)
    gone = BOARDS[name].values(live_prometheus.query) | TIMES | {"edge": "gone", "worker": "gone"}
    for expression, _ in panel.queries:
        (series,) = live_prometheus.query(filled(expression, gone))
        assert float(series["value"][1]) == 0


def test_a_device_whose_memory_is_known_has_no_line_at_0_beside(live_prometheus: LivePrometheus) -> None:
    (panel,) = (panel for panel in BOARDS["resources"].panels if panel.title == "Memory of the devices")
    values = BOARDS["resources"].values(live_prometheus.query) | TIMES
    series = [
        one for expression, _ in panel.queries for one in live_prometheus.query(filled(expression, values))
    ]
    assert series
    assert all("kind" in one["metric"] for one in series)


def test_the_variables_find_the_edge_and_the_workers(live_prometheus: LivePrometheus) -> None:
    values = BOARDS["batching"].values(live_prometheus.query)
    assert values["job"] == "(edge|worker)"
    assert (values["edge"].count("|"), values["worker"].count("|")) == (0, 1)
    assert values["model"] == r"(moebius\-nano|moebius\-places2)", "the second has no worker left"


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
    yield from (metric.name for metric in metrics.REGISTRY.collect() if metric.name.startswith("inpaint_"))
    yield from (metric.name for metric in vars(metrics).values() if isinstance(metric, metrics.QueueGauge))


def test_every_selector_of_a_query_finds_series(live_prometheus: LivePrometheus) -> None:
    """Also of queries that say 0 where there is nothing: they would hide a mistake in a name."""
    values = BOARDS["jobs"].values(live_prometheus.query)
    asked = {
        filled(selector, values)
        for board in BOARDS.values()
        for panel in board.panels
        for expression, _ in panel.queries
        for selector in re.findall(r"\w+{[^}]*}", expression)
    }
    assert len(asked) > len(PANELS) / 2
    without = {selector for selector in asked if not live_prometheus.query_range(selector)}
    assert {selector for selector in without if not any(error in selector for error in UNSEEN)} == set()


def test_every_panel_says_what_it_shows_and_in_which_unit() -> None:
    for board in BOARDS.values():
        for panel in board.panels:
            assert panel.fields["description"].endswith("."), panel.title
            assert panel.kind == "table" or "unit" in str(panel.fields), panel.title


def test_no_two_panels_of_a_dashboard_have_the_same_name() -> None:
    for name, board in BOARDS.items():
        titles = [panel.title for panel in board.panels]
        assert sorted(titles) == sorted(set(titles)), name


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


def test_the_dashboards_are_made_for_the_grafana_that_compose_starts() -> None:
    services = yaml.safe_load((GRAFANA.parents[1] / "docker-compose.yml").read_text())["services"]
    image, _, version = services["grafana"]["image"].partition(":")
    assert image == "grafana/grafana"
    assert metadata.version("grafana-foundation-sdk").endswith(f"!{version}")


def test_compose_mounts_the_dashboards_where_grafana_looks_for_them() -> None:
    services = yaml.safe_load((GRAFANA.parents[1] / "docker-compose.yml").read_text())["services"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provisioned("dashboards")["options"]["path"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"


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
