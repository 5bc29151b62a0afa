"""Several processes compute what one does: real ones, on the CPU, under DDP and under FSDP 2."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.small_model import UNET
from tests.training.small_training import ARCHITECTURE, BalancedTrainer, small_recipe, write_recipe
from training.architectures import STUDENTS
from training.checkpoints import load_checkpoint

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")
# accelerate starts several processes on a CPU only where it is told that they shard, or have GPUs.
ACCELERATE = (
    *("accelerate.commands.launch", "--use_fsdp", "--fsdp_version", "2", "--num_processes", "2"),
    *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"),
)
LOOP = {"frozen_batch_norm": True}


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STUDENTS, ARCHITECTURE, UNET)


@pytest.fixture
def alone(latents: Path, tmp_path: Path) -> Path:
    """The folder of a run of one process, with the checkpoint of each of its three steps."""
    folder = tmp_path / "alone"
    BalancedTrainer(small_recipe(latents, folder, steps=3, checkpoint_every=1, keep_every=1, **LOOP)).run()
    return folder


def launch(launcher: tuple[str, ...], recipe: Path) -> None:
    """Run the small training job in two processes, to its end."""
    finished = subprocess.run(
        [sys.executable, "-m", *launcher, "-m", "tests.training.small_training", "--config", str(recipe)],
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
    """All numbers under a key of a checkpoint as one vector, in the order of their names."""
    found = state[key]
    if key == "optimizers":
        found = {f"{name} {kind}": held[kind] for name, held in found["state"].items() for kind in held}
    return torch.cat([found[name].double().flatten() for name in sorted(found)])


def assert_same(found: dict[str, Any], alone: Path, step: int) -> None:
    """The momenta, which are sums of gradients, are equal up to rounding. The weights are as a whole: a nearly
    singular gradient's rounding is amplified where it is orthogonalised.
    """
    wanted, before = (loaded(alone / f"checkpoint_{number:08d}.pt") for number in (step, step - 1))
    assert found["step"] == wanted["step"]
    momenta = numbers(wanted, "optimizers")
    assert (numbers(found, "optimizers") - momenta).norm() < 1e-5 * momenta.norm()
    for key in ("network", "average"):
        change = (numbers(wanted, key) - numbers(before, key)).norm()
        assert change > 0
        assert (numbers(found, key) - numbers(wanted, key)).norm() < 0.01 * change


def losses(folder: Path) -> list[float]:
    """Every number of the log of losses, row by row."""
    with (folder / "losses.csv").open() as file:
        return [float(value) for row in csv.DictReader(file) for value in row.values()]


@pytest.mark.slow
def test_two_processes_match_one(latents: Path, tmp_path: Path, alone: Path) -> None:
    folder = tmp_path / "two"
    launch(TORCHRUN, write_recipe(tmp_path / "two.yaml", latents, folder, steps=2, **LOOP))
    assert_same(loaded(folder / "checkpoint.pt"), alone, step=2)
    assert losses(folder) == pytest.approx(losses(alone)[:6], rel=1e-3)


@pytest.mark.slow
def test_two_sharded_processes_go_on_with_the_run_of_one_and_one_with_theirs(
    latents: Path, tmp_path: Path, alone: Path
) -> None:
    folder = tmp_path / "sharded"
    folder.mkdir()
    shutil.copy(alone / "checkpoint_00000001.pt", folder / "checkpoint.pt")
    launch(ACCELERATE, write_recipe(tmp_path / "two.yaml", latents, folder, steps=2, **LOOP))
    assert_same(loaded(folder / "checkpoint.pt"), alone, step=2)
    BalancedTrainer(small_recipe(latents, folder, steps=3, **LOOP)).run()
    assert_same(loaded(folder / "checkpoint.pt"), alone, step=3)
    assert losses(folder) == pytest.approx(losses(alone)[3:], rel=1e-3)
