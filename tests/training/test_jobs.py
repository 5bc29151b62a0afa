"""The command line of the offline jobs: what it knows, and one clear line for what a user can put right."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.training.small_training import write_recipe
from training.__main__ import main
from training.jobs import JOBS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", JOBS)
def test_every_job_has_a_recipe_and_something_that_runs_it(name: str) -> None:
    job = JOBS[name]
    module = import_module(job.module)
    assert dataclasses.is_dataclass(getattr(module, job.recipe))
    assert callable(getattr(module, job.run))


def complaint(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """The one line that the command ends with, as wrong use."""
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    assert main() == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("export: {}", "has no section 'train'; its sections: export"),
        ("train: [", "is not YAML"),
        (
            "train: {latents: a, output: b, batch: 4, lerning_rate: 1}",
            "unknown settings in 'train': lerning_rate",
        ),
        ("train: {latents: a}", "settings missing from 'train': batch, output"),
        (
            "train: {latents: a, output: b, batch: four}",
            "batch: Input should be a valid integer.* not 'four'",
        ),
        ("train: {latents: a, output: b, batch: 0}", "batch must be at least 1, not 0"),
        (
            "train: {latents: a, output: b, batch: 4, schedule: linear}",
            "schedule: Input should be .*'linear'",
        ),
    ],
)
def test_a_faulty_recipe_is_one_line(
    text: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    line = complaint(["train", "--config", str(path)], monkeypatch, capsys)
    assert re.search(named, line), line


def test_a_missing_recipe_and_missing_data_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing"
    assert "can't be read" in complaint(["train", "--config", str(missing)], monkeypatch, capsys)
    path = write_recipe(tmp_path / "recipe.yaml", missing, tmp_path / "run")
    assert str(missing) in complaint(["train", "--config", str(path)], monkeypatch, capsys)
    assert not (tmp_path / "run").exists()


def test_help_lists_the_jobs_and_waits_for_no_pytorch() -> None:
    script = (
        "import sys; sys.argv = ['training', '--help']\n"
        "from training.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: sys.exit('torch' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True
    ).stdout
    assert all(f"  {name} " in shown and job.description in shown for name, job in JOBS.items())
