"""The U-Net's trainer: its target, its loss, and a run that goes on as if it had never been broken off."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.small_model import UNET
from training.architectures import STUDENTS
from training.checkpoints import averaged_unet
from training.denoising import token_ids
from training.diffusion import DiffusionRecipe, DiffusionTrainer

STEPS = 4


def recipe(latents: Path, output: Path, **changes: int) -> DiffusionRecipe:
    settings: dict[str, Any] = {"steps": STEPS, "batch": 2, "warmup": 1, "checkpoint_every": 2} | changes
    return DiffusionRecipe(
        latents=latents,
        output=output,
        architecture="moebius-nano",
        prediction_type="v_prediction",
        known_weight=0.1,
        matrix_learning_rate=5e-3,
        vector_learning_rate=3e-3,
        **settings,
    )


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer's own architecture at a hundredth of its size."""
    monkeypatch.setitem(STUDENTS, "moebius-nano", UNET)


class PowerCutError(Exception):
    """Ends a run between two steps."""


class BreakingTrainer(DiffusionTrainer):
    """Ends in its last step, after the checkpoint before it and a step that the checkpoint does not know."""

    def losses(self, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        if step == STEPS - 1:
            raise PowerCutError
        return super().losses(step)


def losses(folder: Path) -> dict[int, float]:
    """The loss of each step, as the run wrote it; a step that stands there twice is an error."""
    with (folder / "losses.csv").open() as file:
        rows = [(int(row["step"]), float(row["l_task"])) for row in csv.DictReader(file)]
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([tensor.flatten().double() for tensor in network.state_dict().values()])


def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(latents: Path, tmp_path: Path) -> None:
    unbroken = DiffusionTrainer(recipe(latents, tmp_path / "unbroken"))
    untrained = weights(unbroken.network)
    unbroken.run()
    with pytest.raises(PowerCutError):
        BreakingTrainer(recipe(latents, tmp_path / "broken")).run()
    resumed = DiffusionTrainer(recipe(latents, tmp_path / "broken"))
    resumed.run()
    assert torch.equal(weights(resumed.network), weights(unbroken.network))
    assert torch.equal(weights(resumed.average.network), weights(unbroken.average.network))
    assert not torch.equal(weights(unbroken.network), untrained)
    assert torch.equal(weights(averaged_unet(tmp_path / "broken")), weights(unbroken.average.network))
    assert losses(tmp_path / "broken") == losses(tmp_path / "unbroken")
    assert list(losses(tmp_path / "broken")) == list(range(STEPS))


def test_training_on_one_batch_lowers_its_loss(latents: Path, tmp_path: Path) -> None:
    trainer = DiffusionTrainer(recipe(latents, tmp_path / "run", steps=30))
    first = trainer.step(0)["l_task"]
    for _ in range(8):
        last = trainer.step(0)["l_task"]
    assert last < 0.8 * first


def test_a_loss_that_is_not_finite_ends_the_run(latents: Path, tmp_path: Path) -> None:
    trainer = DiffusionTrainer(recipe(latents, tmp_path / "run"))
    trainer.alphas_cumprod = torch.full((1000,), float("nan"))
    with pytest.raises(FloatingPointError, match="step 3"):
        trainer.step(3)


def test_background_and_foreground_have_tokens_of_their_own() -> None:
    assert token_ids(torch.tensor([0, 1])).tolist() == [list(range(10)), list(range(10, 20))]
