"""A run tells what its requests met; the whole is told as a table and a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from benchmarks import simulation
from benchmarks.fleet.timing import Failures
from benchmarks.simulation import (
    CURVES,
    WORKERS,
    Cell,
    SimulationReport,
    SimulationRow,
    cells_of,
    draw,
    markdown,
    mix_of,
    profiles_of,
    run,
)
from service.worker.profile import BatchProfile

FAST = BatchProfile({1: 0.010, 8: 0.038}, 0.005, 0.010)
FEW_STEP = BatchProfile({1: 0.010}, 0.005, 0.010, steps=4, distilled=True)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "FEWEST_REQUESTS", 300)


@pytest.fixture
def row() -> SimulationRow:
    return run(Cell("fast", 2, 0.6), FAST)


def test_a_run_serves_what_comes_and_tells_how(row: SimulationRow) -> None:
    assert row.requests >= 280
    assert row.throughput == pytest.approx(row.rate, rel=0.15)
    assert row.alone < row.latency.p50 < row.latency.p95 < row.latency.p99
    assert 0 < row.wait.p50 < row.latency.p50
    assert 0.5 < row.busy < 1
    assert 1 < row.mean_batch < 8
    assert 1 < row.claims <= 2
    assert (row.refused, row.redelivered, row.dead_lettered) == (0, 0, 0)


def test_a_run_with_failures_has_jobs_redelivered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "FAILURES", Failures(mean_seconds=10.0, restart_seconds=2.0))
    row = run(Cell("fast", 2, 0.4, kind="failures"), FAST)
    assert row.redelivered > 0
    assert row.latency.p99 > 11.0  # a lease


def test_a_few_step_model_is_asked_for_its_own_steps() -> None:
    assert mix_of(FEW_STEP).steps == ((4, 1.0),)
    assert mix_of(FAST).mean_steps == pytest.approx(0.1 * 10 + 0.8 * 20 + 0.1 * 40)


def test_a_measured_curve_may_come_first_and_an_unknown_one_is_named_with_those_there_are() -> None:
    name = "moebius-nano on onnxruntime, cpu"
    profiles = profiles_of(CURVES, name)
    assert next(iter(profiles)) == name
    with pytest.raises(SystemExit, match=r"no curve 'other'\. There are: published network"):
        profiles_of(CURVES, "other")


def test_every_curve_is_run_with_every_number_of_workers_and_no_cell_twice() -> None:
    cells = list(cells_of({"fast": FAST, "few": FEW_STEP}))
    assert len(set(cells)) == len(cells)
    assert {(cell.curve, cell.workers) for cell in cells} == {
        (name, workers) for name in ("fast", "few") for workers in WORKERS
    }


def test_the_table_and_the_picture_show_every_run(row: SimulationRow, tmp_path: Path) -> None:
    report = SimulationReport("a machine", {"fast": 8}, [row])
    assert "| fast | plain | 2 | 60% (" in markdown(report, "the command")
    draw(report, tmp_path / "simulation.png")
    with Image.open(tmp_path / "simulation.png") as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 10
