"""Several processes compute what one does: real ones, on the CPU, under DDP and under FSDP 2."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.small_training import ARCHITECTURE, STUDENT, Distillation, write_sections
from training.__main__ import run_stages
from training.architectures import STUDENTS
from training.checkpoints import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")
# accelerate starts several processes on a CPU only where it is told that they shard, or have GPUs.
ACCELERATE = (
    *("accelerate.commands.launch", "--use_fsdp", "--fsdp_version", "2", "--num_processes", "2"),
    *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"),
)
EVERY_STEP = {"checkpoint_every": 1, "keep_every": 1}
STAGES = ["few-step", "distil"]
# At the third, a unit of the perceptual loss's network lies so near the kink of its ReLU6 that rounding, even by
# another number of threads, moves it across, and the gradient by 1e-3.
STEPS = 2


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STUDENTS, ARCHITECTURE, STUDENT)


@dataclass(frozen=True)
class Job:
    """The two kinds of distillation, one after the other, in folders of their own."""

    inputs: Distillation
    folder: Path

    def recipe(self, *, few_step: dict[str, Any], distil: dict[str, Any]) -> Path:
        """The file of both, with statistics frozen."""
        self.folder.mkdir(exist_ok=True)
        frozen = {"frozen_batch_norm": True}
        sections = {
            "stages": {"distil": STAGES},
            "few_step": self.inputs.few_step(self.folder / "few-step", **frozen, **few_step),
            "distil": self.inputs.distil(self.folder / "distil", **frozen, **distil),
        }
        return write_sections(self.folder / "recipe.yaml", sections)

    def goes_on_from(self, other: Job, step: int) -> None:
        """Let the distillation go on where another's was after so many steps."""
        (self.folder / "distil").mkdir(parents=True)
        kept = other.folder / "distil" / f"checkpoint_{step:08d}.pt"
        shutil.copy(kept, self.folder / "distil" / "checkpoint.pt")


@pytest.fixture
def inputs(latents: Path, tmp_path: Path) -> Distillation:
    return Distillation(latents, tmp_path / "inputs")


def run_alone(inputs: Distillation, folder: Path, method: str) -> Job:
    """Two steps of both in one process, and the checkpoint of each step."""
    job = Job(inputs, folder)
    loop = {"steps": STEPS, **EVERY_STEP}
    run_stages(job.recipe(few_step={**loop, "method": method}, distil=loop), STAGES)
    return job


def launch(launcher: tuple[str, ...], recipe: Path) -> None:
    """Run the small jobs in two processes, to their end."""
    job = ("tests.training.small_training", "distil", "--config", str(recipe))
    finished = subprocess.run(
        [sys.executable, "-m", *launcher, "-m", *job],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def loaded(path: Path) -> dict[str, Any]:
    state = load_checkpoint(path)
    assert state is not None
    return state


def numbers(state: dict[str, Any], key: str) -> Tensor:
    """All numbers under a key of a checkpoint as one vector, in the order of their names; an optimizer's momenta."""
    found = state[key]
    if key == "optimizers":
        states = found["state"].items()
        found = {name: held["momentum" if "momentum" in held else "exp_avg"] for name, held in states}
    return torch.cat([found[name].double().flatten() for name in sorted(found)])


def assert_same(found: Path, alone: Path) -> None:
    """The momenta, sums of gradients, and the weights, as parts of what the last step changed, up to rounding.

    Sums in another order differ by 1e-7, which a step's network and orthogonalisation amplify: 6e-6 was seen of
    momenta, 8e-5 of weights. A process that goes its own way, in its rows or its balancing, is 1e-2 apart and more.
    """
    state = loaded(found / "checkpoint.pt")
    wanted, before = (loaded(alone / f"checkpoint_{number:08d}.pt") for number in (STEPS, STEPS - 1))
    assert state["step"] == wanted["step"] == STEPS
    momenta = numbers(wanted, "optimizers")
    assert (numbers(state, "optimizers") - momenta).norm() < 1e-4 * momenta.norm()
    for key in ("network", "average"):
        change = (numbers(wanted, key) - numbers(before, key)).norm()
        assert change > 0
        assert (numbers(state, key) - numbers(wanted, key)).norm() < 1e-3 * change


def losses(folder: Path) -> list[dict[str, float]]:
    """The log of losses and balancing weights, a row a step."""
    with (folder / "losses.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def assert_same_losses(found: Path, alone: Path, steps: slice) -> None:
    """Up to rounding, and to that of the log itself."""
    mine, theirs = losses(found), losses(alone)[steps]
    assert any(name.startswith("a_") for name in theirs[0])
    assert mine == [pytest.approx(row, rel=1e-3, abs=1.1e-5) for row in theirs]


@pytest.mark.slow
def test_two_processes_match_one(inputs: Distillation, tmp_path: Path) -> None:
    alone = run_alone(inputs, tmp_path / "alone", "consistency")
    two = Job(inputs, tmp_path / "two")
    launch(TORCHRUN, two.recipe(few_step={"steps": STEPS, "method": "consistency"}, distil={"steps": STEPS}))
    for stage in STAGES:
        assert_same(two.folder / stage, alone.folder / stage)
        assert_same_losses(two.folder / stage, alone.folder / stage, slice(STEPS))


@pytest.mark.slow
def test_two_sharded_processes_that_checkpoint_gradients_go_on_with_the_run_of_one_and_one_with_theirs(
    inputs: Distillation, tmp_path: Path
) -> None:
    alone = run_alone(inputs, tmp_path / "alone", "progressive")
    sharded = Job(inputs, tmp_path / "sharded")
    sharded.goes_on_from(alone, step=1)
    few_step = {"steps": 1, "method": "progressive"}
    launch(
        ACCELERATE, sharded.recipe(few_step=few_step, distil={"steps": STEPS, "gradient_checkpointing": True})
    )
    assert_same(sharded.folder / "distil", alone.folder / "distil")
    assert_same_losses(sharded.folder / "distil", alone.folder / "distil", slice(1, STEPS))
    run_stages(sharded.recipe(few_step={**few_step, "steps": STEPS}, distil={}), ["few-step"])
    assert_same(sharded.folder / "few-step", alone.folder / "few-step")
    assert_same_losses(sharded.folder / "few-step", alone.folder / "few-step", slice(STEPS))
