"""The stages of a start (service/start_stages.py), read from a service's log: when each began and what it took."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

FIRST = "interpreter and command line"


@dataclass(frozen=True, slots=True)
class Stage:
    """Seconds: `begins` after the service was started, `takes` until it ends. Stages may lie within each other, and
    those of two processes run at the same time.
    """

    name: str
    begins: float
    takes: float


def stages_of(log: Iterable[str], started: float) -> list[Stage]:
    """The stages of a service that was started at `started` (Unix seconds), in the order of their begins; before the
    first one lies what no log can tell of.
    """
    stages = sorted((_stage(entry, started) for entry in _entries(log)), key=lambda stage: stage.begins)
    if not stages:
        raise ValueError("the log tells of no stage of a start: is its level debug?")
    return [Stage(FIRST, 0.0, stages[0].begins), *stages]


def _entries(log: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in log:
        if line.startswith("{"):
            entry = json.loads(line)
            if entry.get("message") == "start stage":
                yield entry


def _stage(entry: dict[str, Any], started: float) -> Stage:
    ended = datetime.fromisoformat(entry["time"]).timestamp() - started
    return Stage(entry["stage"], max(0.0, ended - entry["seconds"]), entry["seconds"])
