"""Draws the dashboards' panels from a live Prometheus into docs/images: pictures for people without a Grafana.

They show the panels' own queries and limits, not Grafana's own rendering.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from scripts.dashboards.drawing import Floats, Line, draw
from scripts.dashboards.reading import Board, Panel, filled, read_board
from scripts.generate_dashboards import FOLDER

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
POINTS = 240  # moments in a picture
COLORS = 256  # of the PNG's palette: it is a third as large
TIMEOUT = 60.0


@dataclass(frozen=True)
class Prometheus:
    """A server's HTTP interface, and the time that is looked at: Unix seconds."""

    client: httpx.Client
    start: float
    end: float
    scrape_interval: float

    @property
    def step(self) -> float:
        """Seconds between two moments."""
        return (self.end - self.start) / (POINTS - 1)

    @property
    def moments(self) -> Floats:
        """Unix times, evenly spaced."""
        return np.linspace(self.start, self.end, POINTS)

    @property
    def times(self) -> dict[str, str]:
        """Grafana's own variables: it takes rates over four scrapes at least."""
        wide = max(self.step + self.scrape_interval, 4 * self.scrape_interval)
        return {"__rate_interval": f"{wide:.0f}s", "__range": f"{self.end - self.start:.0f}s"}

    def instant(self, expression: str) -> list[dict[str, Any]]:
        """The series at the end."""
        return self._ask("query", {"query": expression, "time": self.end})

    def over_time(self, expression: str) -> list[dict[str, Any]]:
        """The series at every moment."""
        span = {"start": self.start, "end": self.end, "step": self.step}
        return self._ask("query_range", {"query": expression, **span})

    def _ask(self, route: str, parameters: Mapping[str, str | float]) -> list[dict[str, Any]]:
        answer = self.client.get(f"/api/v1/{route}", params=dict(parameters)).json()
        if answer["status"] != "success":
            raise SystemExit(f"Prometheus refused {parameters['query']}: {answer['error']}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


def lines_of(panel: Panel, prometheus: Prometheus, values: Mapping[str, str]) -> Sequence[Line]:
    """What a panel shows."""
    lines = []
    for expression, legend in panel.queries:
        for series in prometheus.over_time(filled(expression, values)):
            course = np.full(POINTS, np.nan)
            for moment, value in series["values"]:
                course[round((moment - prometheus.start) / prometheus.step)] = float(value)
            if np.isfinite(course).any():
                lines.append(Line(_named(legend, series["metric"]), series["metric"], course))
    return lines


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend).strip()


def render(board: Board, prometheus: Prometheus, caption: str) -> Image.Image:
    """The picture of a dashboard."""
    values = board.values(prometheus.instant) | prometheus.times
    figure = draw(board, lambda panel: lines_of(panel, prometheus, values), prometheus.moments, caption)
    page = BytesIO()
    figure.savefig(page, format="png")
    return (
        Image.open(page).convert("RGB").quantize(COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of a Prometheus that scrapes the service: http://localhost:9090")
    parser.add_argument("--minutes", type=float, default=10.0, help="to look back (default: 10)")
    parser.add_argument(
        "--until", type=datetime.fromisoformat, help="2026-11-23T09:15:05+00:00 (default: now)"
    )
    parser.add_argument("--scrape-interval", type=float, default=15.0, help="of that Prometheus, in seconds")
    parser.add_argument("--caption", default="", help="what was measured, for the top of the pictures")
    parser.add_argument(
        "--out", type=Path, default=IMAGES, help="folder for the pictures (default: docs/images)"
    )
    options = parser.parse_args()
    end = options.until.timestamp() if options.until else time.time()
    with httpx.Client(base_url=options.url, timeout=TIMEOUT, trust_env=False) as client:
        prometheus = Prometheus(client, end - 60 * options.minutes, end, options.scrape_interval)
        for path in sorted(FOLDER.glob("*.json")):
            picture = options.out / f"dashboard-{path.stem}.png"
            render(read_board(path), prometheus, options.caption).save(picture, optimize=True)
            print(picture)


if __name__ == "__main__":
    main()
