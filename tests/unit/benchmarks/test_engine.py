"""The engine benchmark measures every backend on both tasks, and says on what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.engine import EngineReport, compare, markdown
from service.engine.dummy import DummyEngine
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


def test_each_backend_has_both_rows_and_the_first_is_the_measure() -> None:
    engines = {name: DummyEngine(Settings(), image_size=64) for name in ("first", "second")}
    rows = compare(engines, rounds=2, steps=3)
    assert sorted((row.backend, row.unit) for row in rows) == [
        (name, unit) for name in engines for unit in ("ms", "pictures/s")
    ]
    assert all(row.value.least > 0 for row in rows)
    assert {row.slower.text(2) for row in rows if row.backend == "first"} == {"1.00 (1.00 - 1.00)"}
    table = markdown(EngineReport("m", "a machine", 2, 2, 3, {"numpy": "2"}, rows), "the command")
    assert "a machine; 2 threads" in table
    assert "`the command`" in table
    assert table.count("| second |") == 2


@pytest.mark.slow
def test_the_command_measures_a_model_and_writes_its_numbers(small_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "engine", "--model", small_model.name]
    command += ["--rounds", "1", "--steps", "2", "--threads", "1", "--output", str(tmp_path)]
    environment = os.environ | {"MOEBIUS_MODEL_STORE": str(small_model.parent)}
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    report = json.loads((tmp_path / "engine.json").read_text())
    assert {row["backend"] for row in report["rows"]} == {"onnxruntime", "torch"}
    assert finished.stdout.strip() == (tmp_path / "engine.md").read_text().strip()


def test_a_model_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "engine", "--model", "no-such-model"]
    finished = subprocess.run(
        [*command, "--output", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert "no-such-model" in finished.stderr
    assert "Traceback" not in finished.stderr
