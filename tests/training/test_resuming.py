"""A run that was killed, at any moment, ends with the very weights of one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.small_training import ARCHITECTURE, STUDENT, Distillation, write_sections
from training.architectures import STUDENTS
from training.checkpoints import load_checkpoint
from training.jobs import JOBS

ROOT = Path(__file__).resolve().parents[2]
LOOP = {"steps": 10, "checkpoint_every": 1}


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STUDENTS, ARCHITECTURE, STUDENT)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the processes have: sums are then in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def inputs(latents: Path, tmp_path: Path) -> Distillation:
    return Distillation(latents, tmp_path / "inputs")


class Run:
    """One process of a small job, which ends before its last step."""

    def __init__(self, job: str, recipe: Path, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.training.small_training", job, "--config", str(recipe)],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def end(self, number: signal.Signals, when: Callable[[], bool]) -> int:
        """Send the signal as soon as `when` is true; the exit status."""
        while not when():
            with suppress(subprocess.TimeoutExpired):
                pytest.fail(f"the run ended by itself, with {self.process.wait(timeout=0.001)}")
        self.process.send_signal(number)
        return self.process.wait()

    def checkpoints(self, count: int) -> Callable[[], bool]:
        """Whether the run has written that many checkpoints: each is a file of its own, renamed."""
        seen: set[int] = set()
        path = self.folder / "checkpoint.pt"
        if path.exists():
            seen.add(path.stat().st_ino)
            count += 1

        def written() -> bool:
            if path.exists():
                seen.add(path.stat().st_ino)
            return len(seen) >= count

        return written


def assert_equal(found: Any, wanted: Any) -> None:
    """Bit for bit, whatever the state holds; a tuple that was loaded may have become a list."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for name in wanted:
            assert_equal(found[name], wanted[name])
    elif isinstance(wanted, torch.Tensor):
        assert torch.equal(found, wanted)
    elif isinstance(wanted, list | tuple):
        for mine, theirs in zip(found, wanted, strict=True):
            assert_equal(mine, theirs)
    else:
        assert found == wanted


def assert_same_end(broken: Path, unbroken: Path) -> None:
    """The same last checkpoint and the same log."""
    assert_equal(load_checkpoint(broken / "checkpoint.pt"), load_checkpoint(unbroken / "checkpoint.pt"))
    assert (broken / "losses.csv").read_text() == (unbroken / "losses.csv").read_text()


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_with_the_weights_of_an_unbroken_one(
    inputs: Distillation, tmp_path: Path
) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    recipe = write_sections(tmp_path / "recipe.yaml", {"distil": inputs.distil(broken, **LOOP)})
    rng = random.Random()

    run = Run("distil", recipe, broken)
    some = run.checkpoints(rng.randint(1, 3))
    assert run.end(signal.SIGKILL, lambda: some() and rng.random() < 0.01) == -signal.SIGKILL

    partial = broken / "checkpoint.partial"
    partial.unlink(missing_ok=True)
    run = Run("distil", recipe, broken)
    some = run.checkpoints(rng.randint(0, 1))
    assert run.end(signal.SIGKILL, lambda: some() and partial.exists()) == -signal.SIGKILL
    assert partial.exists(), "the checkpoint had been written already"

    run = Run("distil", recipe, broken)
    assert run.end(signal.SIGINT, run.checkpoints(1)) == 130

    JOBS["distil"].start(recipe)
    whole = write_sections(tmp_path / "whole.yaml", {"distil": inputs.distil(unbroken, **LOOP)})
    JOBS["distil"].start(whole)
    assert_same_end(broken, unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["progressive", "consistency"])
def test_so_does_a_few_step_run_by_either_method(inputs: Distillation, tmp_path: Path, method: str) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    loop = {"steps": 6, "checkpoint_every": 1, "method": method}
    recipe = write_sections(tmp_path / "recipe.yaml", {"few_step": inputs.few_step(broken, **loop)})
    rng = random.Random()

    run = Run("few-step", recipe, broken)
    some = run.checkpoints(rng.randint(1, 3))
    assert run.end(signal.SIGKILL, lambda: some() and rng.random() < 0.01) == -signal.SIGKILL

    JOBS["few-step"].start(recipe)
    whole = write_sections(tmp_path / "whole.yaml", {"few_step": inputs.few_step(unbroken, **loop)})
    JOBS["few-step"].start(whole)
    assert_same_end(broken, unbroken)
