"""Serving needs no torch: in a clean environment with `moebius[cpu]` alone, a picture is filled."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts' folder of a new environment that has what the extra `cpu` brings and nothing else."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    constraints = (
        ["--constraint", str(ROOT / "constraints.txt")] if (ROOT / "constraints.txt").exists() else []
    )
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *constraints]
    subprocess.run([*install, f"{ROOT}[cpu]"], check=True)
    return python.parent


def run_clean(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run far from the checkout, so that only what was installed can be imported."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MOEBIUS_"))
    }
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_a_picture_is_filled_where_torch_can_not_be_imported(
    scripts: Path, small_model: Path, tmp_path: Path
) -> None:
    assert run_clean(scripts / "python", "-c", "import torch", cwd=tmp_path).returncode != 0
    photo = np.full((90, 120, 3), 200, np.uint8)
    Image.fromarray(photo).save(tmp_path / "in.png")
    mask = np.zeros((90, 120), np.uint8)
    mask[40:50, 50:60] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")

    options: list[str | Path] = [
        "--model",
        small_model.name,
        "--model-store",
        small_model.parent,
        "--steps",
        "2",
        "--seed",
        "1",
    ]
    done = run_clean(
        scripts / "moebius", "inpaint", "in.png", "mask.png", "-o", "out.png", *options, cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    filled = np.asarray(Image.open(tmp_path / "out.png"))
    assert filled.shape == photo.shape
    assert np.array_equal(filled[:20], photo[:20])
    assert not np.array_equal(filled[40:50, 50:60], photo[40:50, 50:60])


def test_models_verify_there_and_making_one_says_what_to_install(
    scripts: Path, small_model: Path, tmp_path: Path
) -> None:
    store: list[str | Path] = ["--model-store", small_model.parent]
    done = run_clean(scripts / "moebius", "models", "verify", *store, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    exported = run_clean(scripts / "moebius", "models", "export", small_model.name, *store, cwd=tmp_path)
    assert exported.returncode == 1
    assert "needs torch" in exported.stderr
    assert "moebius[cpu,export]" in exported.stderr


def test_this_test_runs_where_torch_is() -> None:
    """Else the first test would prove nothing about the environment that it makes."""
    assert subprocess.run([sys.executable, "-c", "import torch"], check=False).returncode == 0
