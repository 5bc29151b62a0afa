"""The U-Net's trainer: its target, its loss, and a run that goes on as if it had never been broken off."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.small_model import UNET, small_unet
from training.checkpoints import averaged_unet
from training.diffusion import (
    DiffusionRecipe,
    DiffusionTrainer,
    start_quietly,
    token_ids,
    velocity_loss,
    velocity_target,
)
from training.schedule import noise_schedule

STEPS = 4


def recipe(latents: Path, output: Path, **changes: int) -> DiffusionRecipe:
    settings = {"steps": STEPS, "batch": 2, "warmup": 1, "checkpoint_every": 2} | changes
    return DiffusionRecipe(latents=latents, output=output, **settings)


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer's own architecture at a hundredth of its size."""
    monkeypatch.setattr("training.diffusion.NANO", UNET)


class PowerCutError(Exception):
    """Ends a run between two steps."""


class BreakingTrainer(DiffusionTrainer):
    """Ends in its last step, after the checkpoint before it and a step that the checkpoint does not know."""

    def losses(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        if step == STEPS - 1:
            raise PowerCutError
        return super().losses(step)


def losses(folder: Path) -> dict[int, float]:
    """The loss of each step, as the run wrote it; a step that stands there twice is an error."""
    with (folder / "losses.csv").open() as file:
        rows = [(int(row["step"]), float(row["velocity"])) for row in csv.DictReader(file)]
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
    first = trainer.step(0)["velocity"]
    for _ in range(8):
        last = trainer.step(0)["velocity"]
    assert last < 0.8 * first


def test_a_loss_that_is_not_finite_ends_the_run(latents: Path, tmp_path: Path) -> None:
    trainer = DiffusionTrainer(recipe(latents, tmp_path / "run"))
    trainer.alphas_cumprod = torch.full((1000,), float("nan"))
    with pytest.raises(FloatingPointError, match="step 3"):
        trainer.step(3)


def test_noisy_latents_and_velocity_give_the_latents_back() -> None:
    alphas = noise_schedule()
    latents = torch.randn(64, 4, 8, 8)
    noisy, velocity, timesteps = velocity_target(latents, alphas, noise_offset=0.0357)
    alpha = alphas[timesteps].view(-1, 1, 1, 1)
    assert torch.allclose(alpha.sqrt() * noisy - (1 - alpha).sqrt() * velocity, latents, atol=1e-5)
    assert timesteps.min() >= 0
    assert timesteps.max() <= 999
    assert len(set(timesteps.tolist())) > 40


def test_an_error_in_the_hole_weighs_more_and_a_small_hole_as_much_as_a_large_one() -> None:
    truth = torch.zeros(1, 4, 8, 8)
    small, large = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    small[..., :2, :2], large[..., :4] = 1, 1
    for hole in (small, large):
        inside = velocity_loss(hole.expand_as(truth), truth, hole, known_weight=0.1)
        outside = velocity_loss((1 - hole).expand_as(truth), truth, hole, known_weight=0.1)
        known, holes = (1 - hole).sum(), hole.sum()
        assert inside.item() == pytest.approx((holes / (holes + 0.1 * known)).item())
        assert outside.item() == pytest.approx((0.1 * known / (holes + 0.1 * known)).item())
    everywhere = torch.ones_like(truth)
    assert velocity_loss(everywhere, truth, small, 0.1).item() == pytest.approx(1)
    assert velocity_loss(everywhere, truth, small, 0.0).item() == pytest.approx(1)


def test_background_and_foreground_have_tokens_of_their_own() -> None:
    assert token_ids(torch.tensor([0, 1])).tolist() == [list(range(10)), list(range(10, 20))]


def test_a_quiet_start_predicts_little() -> None:
    network = small_unet()
    start_quietly(network)
    sample = torch.randn(2, 9, UNET.sample_size, UNET.sample_size)
    network.train()
    with torch.no_grad():
        predicted = network(sample, torch.tensor([10, 900]), token_ids(torch.tensor([0, 1])))
    assert predicted.std() < 0.3
