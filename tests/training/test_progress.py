"""How far a run is: one row of losses a step, whatever happened to the run, and lines for a person."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from training.progress import Bar, Lines, LossLog, RecentSteps, display, duration


def write(path: Path, first_step: int, steps: int) -> None:
    log = LossLog(path, first_step)
    for step in range(first_step, steps):
        log.add(step, {"l1": step / 10, "gradient": 1.0})
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
    write(path, 0, 11)
    path.write_text(path.read_text() + "1")  # killed while it wrote of step 11
    write(path, 6, 12)
    assert path.read_text() == unbroken


def test_a_row_is_on_disk_before_the_next_step(tmp_path: Path) -> None:
    log = LossLog(tmp_path / "losses.csv", 0)
    log.add(0, {"l1": 0.5})
    assert (tmp_path / "losses.csv").read_text().split() == ["step,l1", "0,0.50000"]
    log.close()


def test_a_run_killed_before_it_wrote_anything_starts_its_log(tmp_path: Path) -> None:
    (tmp_path / "losses.csv").touch()
    write(tmp_path / "losses.csv", 5, 6)
    assert (tmp_path / "losses.csv").read_text().split() == ["step,l1,gradient", "5,0.50000,1.00000"]


def test_a_resumed_run_without_its_log_starts_one(tmp_path: Path) -> None:
    write(tmp_path / "losses.csv", 5, 7)
    assert (tmp_path / "losses.csv").read_text().split()[:2] == ["step,l1,gradient", "5,0.50000,1.00000"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which every look takes a quarter of a second."""
    ticks = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks) / 4)


@pytest.mark.usefixtures("clock")
def test_speed_and_means_are_of_the_last_fifty_steps() -> None:
    recent = RecentSteps(batch=8)
    for step in range(60):
        recent.add({"l1": float(step >= 35)})
    assert recent.images_per_second == 32
    assert recent.means() == {"l1": 0.5}


@pytest.mark.usefixtures("clock")
def test_a_line_is_told_every_tenth_step_with_weights_speed_and_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    recent, lines = RecentSteps(batch=8), Lines(30)
    for step in range(12):
        recent.add({"l_task": step / 10, "a_task": 1.5})
        lines.show(step, recent)
    assert capsys.readouterr().out == "step 10 of 30  l_task 0.45  a_task 1.5  32.00 images/s  0:00:05 left\n"


def test_a_bar_shows_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    recent, bar = RecentSteps(batch=8), Bar(0, 30)
    recent.add({"l_task": 0.25})
    bar.show(0, recent)
    bar.close()
    shown = capsys.readouterr().out
    assert "1/30" in shown
    assert "l_task 0.25" in shown
    assert "images/s" in shown


def test_only_a_terminal_has_a_bar() -> None:
    assert isinstance(display(0, 30), Lines)


def test_a_time_is_hours_minutes_and_seconds() -> None:
    assert duration(2 * 3600 + 3 * 60 + 4.4) == "2:03:04"
