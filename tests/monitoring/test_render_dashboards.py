"""The pictures of the dashboards, from a live Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from scripts.dashboards.reading import read_board
from scripts.generate_dashboards import FOLDER
from scripts.render_dashboards import IMAGES, Prometheus, lines_of, render
from tests.monitoring.prometheus_server import LivePrometheus

BOARDS = ("service", "batching", "jobs", "resources")
LARGEST = 300_000  # bytes


@pytest.fixture
def prometheus(live_prometheus: LivePrometheus) -> Iterator[Prometheus]:
    seen_at = live_prometheus.seen_at
    assert seen_at is not None
    with httpx.Client(base_url=live_prometheus.url, timeout=60, trust_env=False) as client:
        yield Prometheus(client, live_prometheus.started_at, seen_at, scrape_interval=2.0)


def test_a_panel_has_a_line_for_each_series_named_as_its_legend_says(prometheus: Prometheus) -> None:
    board = read_board(FOLDER / "jobs.json")
    (panel,) = (panel for panel in board.panels if panel.title == "Jobs that ended, by outcome")
    lines = lines_of(panel, prometheus, board.values(prometheus.instant) | prometheus.times)
    assert {line.name for line in lines} >= {"succeeded", "failed", "cancelled", "expired", "dead_lettered"}
    assert all(np.nanmax(line.values) >= 0 for line in lines)


def test_the_picture_of_a_dashboard_is_as_large_as_its_grid_and_not_empty(prometheus: Prometheus) -> None:
    picture = render(read_board(FOLDER / "batching.json"), prometheus, "of a test")
    assert picture.width == 1680
    colors = picture.getcolors(256)
    assert colors is not None
    assert len(colors) > 50


@pytest.mark.parametrize("name", BOARDS)
def test_the_documentation_has_a_picture_of_each_dashboard_that_loads_fast(name: str) -> None:
    picture = IMAGES / f"dashboard-{name}.png"
    with Image.open(picture) as opened:
        assert opened.size[0] == 1680
    assert picture.stat().st_size < LARGEST
    assert f"images/{picture.name}" in (IMAGES.parent / "monitoring.md").read_text()


def test_every_dashboard_is_drawn_and_written_about() -> None:
    assert {path.stem for path in Path(FOLDER).glob("*.json")} == set(BOARDS)
