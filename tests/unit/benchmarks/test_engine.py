"""The engine benchmark times every engine on every task beside the device's ceilings, and says what it could not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import engine as benchmark
from benchmarks import roofline
from benchmarks.cold_start import Start
from benchmarks.engine import Contender, compare, markdown, pictures_a_second
from benchmarks.engine_choices import EngineChoice
from benchmarks.engine_report import EngineReport, EngineRow, Starts, StepRow
from benchmarks.measuring import Spread
from benchmarks.published_work import Work
from service.engine.dummy import DummyEngine
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
FIRST, SECOND = EngineChoice("dummy", "fp32", "cpu"), EngineChoice("dummy", "bf16", "cpu")


def contender(choice: EngineChoice, memory: dict[int, float]) -> Contender:
    starts = Starts(3.0, Spread(1.5, 1.75, 2.0), Start(1.0, 0.5, 0.25, 100.0, memory))
    return Contender(choice, DummyEngine(Settings(), image_size=64), starts)


def test_every_engine_has_its_steps_at_the_batch_sizes_that_there_was_memory_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(roofline.SIDES, "cpu", 64)
    monkeypatch.setitem(roofline.COPIED, "cpu", 1024)
    monkeypatch.setattr(benchmark, "SHORT_CALL", 0.0)
    contenders = [contender(FIRST, {1: 110.0, 2: 120.0}), contender(SECOND, {1: 105.0})]
    rows = compare(contenders, {1: Work(10.0, 40.0), 2: Work(20.0, 60.0)}, rounds=2, steps=3)
    first, second = rows[FIRST.name], rows[SECOND.name]
    assert [(step.batch, step.memory) for step in first.steps] == [(1, 110.0), (2, 120.0)]
    assert [step.batch for step in second.steps] == [1]
    assert {step.slower.text(2) for step in first.steps} == {"1.00 (1.00 - 1.00)"}
    for row in (first, second):
        assert row.picture is not None
        assert row.picture.least > 0
        for step in row.steps:
            assert step.flops.most == pytest.approx(10.0 * step.batch / step.seconds.least)
            assert step.of_product.least > 0
            assert step.of_copy.least > 0


def test_the_report_says_what_was_not_measured_and_why() -> None:
    one = Spread(1.0, 1.0, 1.0)
    step = StepRow(2, one.times(0.1), one, one.times(9), one.times(4e9), one.times(0.25), one, one, 1234.5)
    starts = Starts(3.0, Spread(1.5, 1.75, 2.0), Start(1.0, 0.5, 0.25, 100.0, {2: 1234.5}))
    rows = [
        EngineRow("a, cpu", None, starts, one, one, one, one, one, (step,)),
        EngineRow("b, cuda", "no GPU"),
    ]
    text = markdown(
        EngineReport("m", "a machine", "none", 2, 3, 20, {"torch": "2"}, 6.5e9, 0.9e9, rows), "the command"
    )
    assert "Hardware: a machine; GPU: none." in text
    assert "| a, cpu | 3.00 | 1.75 (1.50 - 2.00) | 1.00 | 0.50 | 0.25 | 100 |" in text
    assert (
        "| a, cpu | 2 | 100.0 (100.0 - 100.0) | 1.00 (1.00 - 1.00) | 9.00 (9.00 - 9.00) | 4 (4 - 4) | 25% |"
        in text
    )
    assert text.count("| b, cuda | not measured: no GPU |") == 2
    assert "a guided step of one crop is 6.5 GFLOP and 0.90 GB" in text


def test_pictures_a_second_count_steps_together_and_coding_apart() -> None:
    assert pictures_a_second(4, [0.2], [0.1], [0.4], steps=10) == [pytest.approx(4 / (2.0 + 4 * 0.5))]


@pytest.mark.slow
def test_the_command_measures_a_model_and_writes_its_numbers(small_model: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "engine",
        "--model",
        small_model.name,
        "--batches",
        "1",
        "2",
    ]
    command += [
        "--backends",
        "onnxruntime,torch",
        "--rounds",
        "1",
        "--steps",
        "2",
        "--threads",
        "1",
        "--starts",
        "1",
    ]
    environment = os.environ | {"MOEBIUS_MODEL_STORE": str(small_model.parent), "CUDA_VISIBLE_DEVICES": ""}
    finished = subprocess.run(
        [*command, "--output", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    report = json.loads((tmp_path / "engine.json").read_text())
    on_cpu, on_gpu = report["rows"][:2], report["rows"][2:]
    assert [row["engine"] for row in on_cpu] == ["onnxruntime fp32, cpu", "torch fp32, cpu"]
    assert all([step["batch"] for step in row["steps"]] == [1, 2] for row in on_cpu)
    assert all(row["starts"]["last"]["opened"] > 0 and row["steps"][0]["memory"] > 0 for row in on_cpu)
    assert [(row["obstacle"], row["steps"]) for row in on_gpu] == [("no GPU", [])] * 2
    text = (tmp_path / "engine.md").read_text()
    assert finished.stdout.strip() == text.strip()
    assert text.count("| torch fp32, cuda | not measured: no GPU |") == 2


def test_a_model_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "engine", "--model", "no-such-model"]
    finished = subprocess.run(
        [*command, "--output", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert "no-such-model" in finished.stderr
    assert "Traceback" not in finished.stderr
