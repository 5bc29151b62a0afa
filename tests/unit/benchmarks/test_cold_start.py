"""A start is measured in a process of its own, from its beginning to a step; what goes wrong there is told here."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cold_start import Start, measured_start, start_of
from benchmarks.engine_choices import EngineChoice
from service.engine.dummy import DummyEngine
from service.errors import ArtifactError
from service.settings import Settings

DUMMY = EngineChoice("dummy", "fp32", "cpu")


def test_a_process_of_its_own_tells_its_start_and_its_memory(tmp_path: Path) -> None:
    start = measured_start(DUMMY, "any", tmp_path, threads=1, batches=[1, 4], cache=tmp_path / "cache")
    assert start.opened > 0.05  # a new interpreter and numpy at least
    assert start.cold == start.opened + start.warm_up + start.first_step
    assert list(start.step_memory) == [1, 4]
    assert all(10 < peak < 1000 for peak in start.step_memory.values())
    assert 10 < start.idle < 1000


def test_an_engine_that_can_t_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as told:
        measured_start(
            EngineChoice("onnxruntime", "fp32", "cpu"),
            "gone",
            tmp_path,
            threads=1,
            batches=[1],
            cache=tmp_path,
        )
    assert "gone" in told.value.detail


def test_a_batch_size_that_the_warm_up_dropped_is_not_tried() -> None:
    engine = DummyEngine(Settings(max_batch=2), image_size=64)
    start: Start = start_of(engine, started=0.0, batches=[1, 2, 4])
    assert list(start.step_memory) == [1, 2]
