"""What stages read must be there, or be made by a stage before, when the first one starts."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from training.stage_inputs import missing_inputs

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Reads:
    photos: Path
    output: Path
    teacher: Path | None = None
    steps: int = 1


def test_a_path_that_no_stage_before_makes_is_named(tmp_path: Path) -> None:
    first = Reads(tmp_path, tmp_path / "latents")
    second = Reads(tmp_path / "latents", tmp_path / "run", teacher=tmp_path / "weights")
    assert missing_inputs([("latents", first), ("distil", second)]) == [
        f"distil.teacher: {tmp_path / 'weights'}"
    ]


def test_a_stage_does_not_make_its_own_input(tmp_path: Path) -> None:
    assert missing_inputs([("train", Reads(tmp_path / "run", tmp_path / "run"))]) != []


def test_patterns_are_left_to_the_stage(tmp_path: Path) -> None:
    assert missing_inputs([("latents", Reads(tmp_path / "{000..099}.tar", tmp_path / "out"))]) == []


def test_the_real_recipe_says_what_is_missing_before_it_encodes_anything(tmp_path: Path) -> None:
    command = ["-m", "training", "distil", "--config", str(ROOT / "training/recipes/places2.yaml")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RANK": "3"}
    run = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    for path in ("data/places2/train", "weights/pixelhacker/vae", "weights/moebius/pretrained"):
        assert path in run.stderr
    assert "process 3" in run.stderr
    assert not (tmp_path / "runs").exists()
