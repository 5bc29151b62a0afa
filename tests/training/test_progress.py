"""The log of losses: one row a step, whatever happened to the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.progress import LossLog


def write(path: Path, first_step: int, steps: int) -> None:
    log = LossLog(path, first_step)
    for step in range(first_step, steps):
        log.add(step, {"l1": step / 10, "gradient": 1.0}, 2.0)
    log.close()


@pytest.fixture
def unbroken(tmp_path: Path) -> str:
    write(tmp_path / "unbroken.csv", 0, 12)
    return (tmp_path / "unbroken.csv").read_text()


def test_each_step_has_a_row(unbroken: str) -> None:
    lines = unbroken.split()
    assert lines[0] == "step,l1,gradient"
    assert lines[4] == "3,0.30000,1.00000"
    assert len(lines) == 1 + 12


def test_a_resumed_run_drops_the_steps_after_its_checkpoint(tmp_path: Path, unbroken: str) -> None:
    path = tmp_path / "losses.csv"
    write(path, 0, 9)
    path.write_text(path.read_text() + "9,0.9")  # killed while it wrote
    write(path, 6, 12)
    assert path.read_text() == unbroken


def test_a_resumed_run_without_its_log_starts_one(tmp_path: Path) -> None:
    write(tmp_path / "losses.csv", 5, 7)
    assert (tmp_path / "losses.csv").read_text().split()[:2] == ["step,l1,gradient", "5,0.50000,1.00000"]


def test_progress_is_told_every_tenth_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "losses.csv", 0, 12)
    assert capsys.readouterr().out == "step 10  l1 0.4500  gradient 1.0000  2.00 steps/s\n"
