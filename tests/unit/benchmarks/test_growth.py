"""Every axis is measured at all its points, on one engine, and its line told."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import growth
from benchmarks.growth import Axis, Growth, GrowthReport, GrowthRow, markdown, measure_axes
from benchmarks.line_fit import Line
from benchmarks.measuring import Spread
from service.engine.dummy import DummyEngine
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


def test_each_point_of_an_axis_is_measured_and_a_hole_is_a_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "SHORT_CALL", 0.0)
    monkeypatch.setattr(growth, "HOLED_SIDE", 1024)
    options = Namespace(
        batches=[1, 3], megapixels=[0.25, 0.5], holes=[1, 4], steps=[2, 5], usual_steps=2, rounds=1
    )
    axes = measure_axes(DummyEngine(Settings(max_batch=3), image_size=64), options)
    assert [(axis.axis.unit, [row.value for row in axis.rows]) for axis in axes] == [
        ("crop", [1, 3]),
        ("megapixel", [0.25, 0.5]),
        ("hole", [1, 4]),
        ("step", [2, 5]),
    ]
    assert [row.crops for row in axes[0].rows] == [0, 0]
    assert [row.crops for row in axes[2].rows] == [1, 4]
    assert all(row.seconds.least > 0 for axis in axes for row in axis.rows)


def test_a_step_that_takes_longer_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "SHORT_CALL", 0.0)
    engine = DummyEngine(Settings(dummy_step_seconds=0.05), image_size=64)
    options = Namespace(batches=[1], megapixels=[0.1], holes=[1], steps=[1, 3, 5], usual_steps=1, rounds=1)
    line = measure_axes(engine, options)[3].line
    assert line is not None
    assert line.slope > 0.045  # a step can't take less; what else the machine does makes it more at any point


def test_the_report_has_a_table_and_a_sentence_for_each_axis() -> None:
    rows = [GrowthRow(value, Spread(value, value, value), 1) for value in (1.0, 2.0, 4.0)]
    line = Line.through({row.value: row.seconds.median for row in rows})
    axes = [Growth(Axis("holes", "hole", "small ones", (1.0, 2.0, 4.0)), rows, line)]
    axes.append(Growth(Axis("steps", "step", "few", (1.0,)), rows[:1], None))
    text = markdown(GrowthReport("m", "dummy fp32, cpu", "a machine", 2, 3, axes), "the command")
    assert "Hardware: a machine." in text
    assert "Small ones. Time = 0.0 ms + 1,000.0 ms x hole" in text.replace("-0.0", "0.0")
    assert "| 4 | 4000.0 (4000.0 - 4000.0) | 1,000.0 | 1 |" in text
    assert "Few. Too few points for a line." in text


def test_the_command_writes_its_numbers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "growth", "--backend", "dummy", "--rounds", "1"]
    command += ["--batches", "1", "2", "4", "--megapixels", "0.25", "--holes", "1", "--steps", "1"]
    finished = subprocess.run(
        [*command, "--output", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    first, *others = json.loads((tmp_path / "growth.json").read_text())["axes"]
    assert first["line"]["slope"] != 0
    assert [axis["line"] for axis in others] == [None] * 3
