"""The report of a run, long or short."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from training.errors import DataError
from training.report import ReportRecipe, report, write_report


def run_folder(folder: Path, rows: int) -> Path:
    folder.mkdir()
    lines = [f"{step},{1 / (step + 1):.5f},{0.5 * step},nan,12.5" for step in range(rows)]
    (folder / "losses.csv").write_text("\n".join(["step,task,a_task,perc,images/s", *lines]) + "\n")
    return folder


def test_the_report_shows_curves_numbers_samples_and_the_recipe(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", 120)
    (folder / "samples").mkdir()
    for step in range(0, 120, 10):
        Image.new("RGB", (8, 8)).save(folder / "samples" / f"step_{step:08d}.png")
    (folder / "recipe.yaml").write_text("train: {steps: 120}\n")
    path = report(ReportRecipe(folder))
    text = path.read_text()
    assert path == folder / "report.md"
    assert "120 steps" in text
    assert "| a_task | 12.25 | 47.25 | +285.7 % | 0 | 59.5 |" in text
    assert "| perc | - | - | - | - | - |" in text
    assert text.index("step_00000110") < text.index("step_00000000")
    assert "6 of 12 grids" in text
    assert "train: {steps: 120}" in text
    for picture in ("losses.png", "weights.png", "speed.png"):
        assert f"({picture})" in text
        with Image.open(folder / picture) as plot:
            assert plot.width > 500


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_the_shortest_runs_have_a_report(tmp_path: Path, rows: int) -> None:
    text = write_report(run_folder(tmp_path / "run", rows)).read_text()
    assert f"{rows} steps" in text if rows else "No step was made" in text
    assert "nan" not in text


def test_a_run_without_balancing_weights_has_no_panel_of_them(tmp_path: Path) -> None:
    (tmp_path / "losses.csv").write_text("step,task\n0,1.0\n1,0.5\n")
    text = write_report(tmp_path).read_text()
    assert "![Loss terms](losses.png)" in text
    assert "Balancing" not in text
    assert not (tmp_path / "weights.png").exists()


def test_a_run_that_has_become_nan_half_way_has_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "losses.csv").write_text("step,task\n0,1.0\n1,nan\n2,inf\n")
    assert "| task | 1 | 1 | +0.0 % | 1 | 1 |" in write_report(folder).read_text()


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing: give the output folder"):
        write_report(tmp_path)
