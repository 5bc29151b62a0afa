"""Ours and the published order do the same work on the same weights; the goals are held against the best of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.engine_tasks import picture_after
from benchmarks.measuring import Spread
from benchmarks.published_pipeline import PublishedPipeline
from benchmarks.reference import levels_apart
from benchmarks.reference_report import PUBLISHED, ContenderRow, ReferenceReport, goals, markdown
from service.engine.selection import open_engine
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


def same(value: float) -> Spread:
    return Spread(value, value, value)


def row(contender: str, device: str, **values: object) -> ContenderRow:
    return ContenderRow(contender, device, **values)  # type: ignore[arg-type]


def test_a_goal_is_held_against_the_best_of_ours_never_against_the_published_order() -> None:
    rows = [
        row(PUBLISHED, "cpu", step_faster=same(9.0)),
        row("torch fp32", "cpu", step_faster=same(2.4)),
        row("onnxruntime fp32", "cpu", step_faster=Spread(2.3, 2.6, 2.9)),
    ]
    cpu, *of_gpu = goals(rows, "none")
    assert (cpu.found, cpu.reached) == ("2.60 (2.30 - 2.90) times: onnxruntime fp32, cpu", True)
    assert [(goal.found, goal.reached) for goal in of_gpu] == [("not measured", None)] * 3


def test_the_goals_of_a_gpu_are_of_one_gpu() -> None:
    fast = row("a", "cuda", step=same(0.002), picture_faster=same(7.0), rates={1: same(8.0), 16: same(21.0)})
    slow = row("b", "cuda", step=same(0.004), picture_faster=same(5.0), rates={1: same(9.0)})
    found = goals([fast, slow], "NVIDIA H100 80GB HBM3")[1:]
    assert [goal.reached for goal in found] == [False, True, True]
    assert found[1].found == "2.00 (2.00 - 2.00) ms: a, cuda"
    assert found[2].found == "21.00 (21.00 - 21.00) pictures/s: a, cuda"
    assert [goal.reached for goal in goals([fast, slow], "another GPU")[1:]] == [None] * 3


def test_the_report_has_goals_contenders_and_rates_where_there_are_several() -> None:
    ours = row("a", "cuda", step=same(0.002), step_faster=same(4.0), rates={1: same(8.0), 16: same(21.0)})
    rows = [ours, row("b", "cuda", obstacle="no GPU")]
    report = ReferenceReport(
        "m", "a machine", "H100", 2, 3, 20, ("cuda",), {"torch": "2"}, goals(rows, "H100"), rows
    )
    text = markdown(report, "the command")
    assert "| H100: at least 20 pictures/s | 21.00 (21.00 - 21.00) pictures/s: a, cuda | yes |" in text
    assert "| a, cuda | 2.0 (2.0 - 2.0) | 4.00 (4.00 - 4.00) |" in text
    assert "| b, cuda | not measured: no GPU |" in text
    assert "| a, cuda | 16 | 21.00 (21.00 - 21.00) | best |" in text
    assert "was run through on: cuda" in text


@pytest.mark.slow
def test_the_published_pipeline_makes_the_picture_that_ours_does(small_model: Path) -> None:
    pipeline = PublishedPipeline(small_model, "cpu")
    settings = Settings(model=small_model.name, model_store=small_model.parent, backend="torch", threads=1)
    engine = open_engine(settings)
    expected = pipeline.picture(4)
    assert levels_apart(expected, picture_after(engine, 4, 4)) < 0.05
    assert levels_apart(expected, picture_after(engine, 4, 3)) > 0.1  # a step fewer is another picture
    assert levels_apart(np.zeros((1, 3, 2, 2), np.float32), np.ones((1, 3, 2, 2), np.float32)) == 127.5


@pytest.mark.slow
def test_the_command_compares_on_a_model_of_the_store(small_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "reference", "--model", small_model.name, "--rounds", "1"]
    command += ["--steps", "2", "--whole", "--threads", "1", "--batches", "1", "2", "--output", str(tmp_path)]
    environment = os.environ | {"MOEBIUS_MODEL_STORE": str(small_model.parent), "CUDA_VISIBLE_DEVICES": ""}
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    report = json.loads((tmp_path / "reference.json").read_text())
    on_cpu = [found for found in report["rows"] if found["device"] == "cpu"]
    assert [found["contender"] for found in on_cpu] == [PUBLISHED, "onnxruntime fp32", "torch fp32"]
    assert on_cpu[0]["step_faster"] == {"least": 1.0, "median": 1.0, "most": 1.0}
    for found in on_cpu:
        assert found["difference"] < 0.05
        assert found["picture"]["least"] > 0
        assert list(found["rates"]) == ["1", "2"]
    assert all(found["obstacle"] == "no GPU" for found in report["rows"] if found["device"] == "cuda")
    assert report["goals"][0]["reached"] in (True, False)
