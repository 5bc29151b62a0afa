"""Stages are read from a log and put in the order of their begins; the tables hold the goals beside what was found."""

from __future__ import annotations

import json

import pytest

from benchmarks.measuring import Spread
from benchmarks.resident import Resident
from benchmarks.start import StageTime, StartReport, markdown, stage_times
from benchmarks.start_log import FIRST, Stage, stages_of

STARTED = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def told(stage: str, ended: str, seconds: float) -> str:
    time = f"2023-11-14T22:13:{ended}Z"
    return json.dumps({"time": time, "message": "start stage", "stage": stage, "seconds": seconds})


def test_stages_are_told_from_the_start_of_the_service_on() -> None:
    log = [
        told("engine", "22.500", 1.5),
        "a line that is no record",
        '{"time": "2023-11-14T22:13:22.000Z", "message": "worker started"}',
        told("queue server", "20.750", 0.25),
    ]
    assert stages_of(log, STARTED) == [
        Stage(FIRST, 0.0, 0.5),
        Stage("queue server", 0.5, 0.25),
        Stage("engine", 1.0, 1.5),
    ]


def test_a_log_without_stages_is_refused() -> None:
    with pytest.raises(ValueError, match="is its level debug"):
        stages_of(['{"message": "worker started"}'], STARTED)


def test_stages_are_told_over_the_rounds() -> None:
    rounds = [[Stage("b", 2.0, 1.0), Stage("a", 0.0, 2.0)], [Stage("a", 0.0, 4.0), Stage("b", 4.0, 1.0)]]
    assert stage_times(rounds) == [
        StageTime("a", Spread(0.0, 0.0, 0.0), Spread(2.0, 3.0, 4.0)),
        StageTime("b", Spread(2.0, 3.0, 4.0), Spread(1.0, 1.0, 1.0)),
    ]


def test_the_tables_hold_the_goals_beside_what_was_found() -> None:
    spread = Spread(3.0, 4.0, 5.0)
    report = StartReport(
        hardware="a machine",
        model="m",
        backend="auto",
        rounds=5,
        ready={"moebius serve": spread, "moebius edge": spread},
        stages=[StageTime("engine", spread, spread)],
        memory=[Resident("edge", "after the start", 100.0, 90.0, 80.0)],
    )
    text = markdown(report, "python -m benchmarks start")
    assert "| `moebius serve` | 4.00 (3.00 - 5.00) | 5 |" in text
    assert "| engine | 4.00 | 4.00 (3.00 - 5.00) |" in text
    assert "| edge | after the start | 100.0 | 90.0 | 80.0 |" in text
    assert "the goal of an idle edge is 114" in text
