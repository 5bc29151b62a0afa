"""Curves are what workers measure, the rounds together; what is kept is read back as a worker's profile."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.curves import CurvesReport, load_curves, markdown, measure, pictures_a_second, row_of
from service.engine.dummy import DummyEngine
from service.settings import Settings
from service.worker.profile import BatchProfile


def row_of_rounds() -> CurvesReport:
    rounds = [
        BatchProfile({1: 0.010, 2: 0.012, 4: 0.020}, 0.1, 0.2),
        BatchProfile({1: 0.012, 2: 0.016}, 0.3, 0.2),
        BatchProfile({1: 0.011, 2: 0.014, 4: 0.021}, 0.2, 0.2),
    ]
    row = row_of(DummyEngine(Settings(backend="dummy")), rounds)
    return CurvesReport("a machine", 3, 2, [row])


def test_rounds_are_put_together_at_the_sizes_that_all_came_to() -> None:
    (row,) = row_of_rounds().rows
    assert list(row.step_seconds) == [1, 2]
    assert (row.step_seconds[2].least, row.step_seconds[2].median, row.step_seconds[2].most) == (
        0.012,
        0.014,
        0.016,
    )
    assert row.encode_seconds.median == 0.2
    assert row.batch == 2
    assert row.pictures == pytest.approx(1 / (20 * 0.014 / 2 + 0.2 + 0.2))


def test_what_is_kept_is_read_back_as_the_profile_of_a_worker(tmp_path: Path) -> None:
    report = row_of_rounds()
    path = tmp_path / "curves.json"
    path.write_text(json.dumps(asdict(report)), encoding="utf-8")
    ((name, profile),) = load_curves(path).items()
    assert name == report.rows[0].name == "moebius-nano on dummy, cpu"
    assert profile.step_seconds == {1: 0.011, 2: 0.014}
    assert pictures_a_second(profile) == pytest.approx(report.rows[0].pictures)


def test_every_backend_is_measured_and_shown() -> None:
    options = Namespace(
        models="moebius-nano", backends="dummy", device="cpu", max_batch=2, rounds=2, threads=1
    )
    report = measure(options)
    assert [row.backend for row in report.rows] == ["dummy"]
    assert set(report.rows[0].step_seconds) == {1, 2}
    assert "| moebius-nano on dummy, cpu | fp32 | 1: " in markdown(report, "the command")
