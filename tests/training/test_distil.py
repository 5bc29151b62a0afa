"""Distillation on the smallest networks: the four losses, who teaches whom, and that the student learns."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.small_model import UNET, fill, small_autoencoder
from tests.training.small_training import ARCHITECTURE, TEACHER, TEACHER_ARCHITECTURE, write_run
from training.architectures import STUDENTS, TEACHERS
from training.balancing import BalancingWeights, DistillationLosses
from training.checkpoints import averaged_teacher, averaged_unet
from training.distil import DistilRecipe, DistilTrainer, student_of
from training.errors import RecipeError
from training.teacher import PixelHackerUNet

STEPS: dict[str, Any] = {"steps": 3, "batch": 2, "sample_every": 0, "tensorboard": False}


@pytest.fixture(autouse=True)
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STUDENTS, ARCHITECTURE, UNET)
    monkeypatch.setitem(TEACHERS, TEACHER_ARCHITECTURE, TEACHER)


@pytest.fixture
def autoencoder(tmp_path: Path) -> Path:
    """The folder of an autoencoder's run."""
    return write_run(tmp_path / "autoencoder", small_autoencoder())


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """The folder of a teacher's run."""
    return write_run(tmp_path / "teacher", fill(PixelHackerUNet(TEACHER)))


def recipe(latents: Path, output: Path, **changes: Any) -> DistilRecipe:
    return DistilRecipe(
        **{
            "latents": latents,
            "output": output,
            "architecture": ARCHITECTURE,
            "perceptual_stages": 1,
            "perceptual_crop": 4,
            "matrix_learning_rate": 5e-3,
            **STEPS,
            **changes,
        }
    )


def test_all_four_losses_are_balanced_and_the_student_changes(
    latents: Path, teacher: Path, autoencoder: Path, tmp_path: Path
) -> None:
    trainer = DistilTrainer(
        recipe(
            latents,
            tmp_path / "student",
            teacher=teacher,
            autoencoder=autoencoder,
            sample_every=3,
            sample_steps=2,
            samples=2,
        )
    )
    before = student_of(trainer).diff_model.conv_in.conv_pw.weight.detach().clone()
    terms = trainer.step(0)
    names = {"l_task", "l_coarse", "l_fine", "l_perceptual", "a_task", "a_fine", "a_perceptual"}
    assert terms.keys() == names
    assert all(math.isfinite(value) for value in terms.values())
    assert not torch.equal(student_of(trainer).diff_model.conv_in.conv_pw.weight, before)
    trainer.run()
    assert (tmp_path / "student" / "samples").exists()


def test_the_balancing_weights_are_the_ratios_of_autograds_own_norms(
    latents: Path, teacher: Path, tmp_path: Path
) -> None:
    trainer = DistilTrainer(recipe(latents, tmp_path / "student", teacher=teacher))
    fill(trainer.network)
    found: list[tuple[float, float]] = []
    original = trainer.balancer.weights

    def checked(losses: DistillationLosses) -> BalancingWeights:
        weights = original(losses)
        assert weights.fine is not None
        assert weights.task is not None
        denoiser = student_of(trainer).diff_model
        w_out = denoiser.conv_out.conv_pw.weight
        w_feat = denoiser.down_blocks[-1].get_submodule("attentions.0").get_parameter("proj_out.weight")

        def norm(loss: Any, by: torch.Tensor) -> float:
            return float(torch.autograd.grad(loss, by, retain_graph=True)[0].norm())

        found.append((float(weights.fine), norm(losses.task, w_out) / (norm(losses.fine, w_out) + 1e-6)))
        found.append((float(weights.task), norm(losses.coarse, w_feat) / (norm(losses.task, w_feat) + 1e-4)))
        return weights

    trainer.balancer.weights = checked  # type: ignore[method-assign]
    trainer.step(0)
    assert len(found) == 2
    for weight, expected in found:
        assert weight == pytest.approx(expected, rel=1e-3)


def test_the_teacher_stays_as_it_was(latents: Path, teacher: Path, tmp_path: Path) -> None:
    trainer = DistilTrainer(recipe(latents, tmp_path / "student", teacher=teacher))
    trainer.run()
    assert trainer.teacher is not None
    assert not trainer.teacher.training
    before = averaged_teacher(teacher).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in trainer.teacher.state_dict().items())


def test_a_student_distilled_on_one_batch_comes_nearer_to_the_truth(
    latents: Path, teacher: Path, tmp_path: Path
) -> None:
    trainer = DistilTrainer(recipe(latents, tmp_path / "student", teacher=teacher, known_weight=0.1))
    first = trainer.step(0)
    for _ in range(8):
        last = trainer.step(0)
    assert last["l_task"] < 0.9 * first["l_task"]


def test_without_a_teacher_the_student_learns_by_the_other_losses(
    latents: Path, autoencoder: Path, tmp_path: Path
) -> None:
    trainer = DistilTrainer(recipe(latents, tmp_path / "student", autoencoder=autoencoder))
    assert trainer.step(0).keys() == {"l_task", "l_perceptual", "a_perceptual"}


def test_the_student_starts_from_the_run_that_the_recipe_names(latents: Path, tmp_path: Path) -> None:
    DistilTrainer(recipe(latents, tmp_path / "first")).run()
    first = averaged_unet(tmp_path / "first").state_dict()
    trainer = DistilTrainer(recipe(latents, tmp_path / "second", initial=tmp_path / "first"))
    assert all(torch.equal(value, first[name]) for name, value in trainer.network.state_dict().items())


def test_a_teacher_is_no_student(latents: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="moebius"):
        DistilTrainer(recipe(latents, tmp_path / "student", architecture=TEACHER_ARCHITECTURE))


def test_a_teacher_of_another_shape_is_refused(
    latents: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STUDENTS, ARCHITECTURE, replace(UNET, channels=(32, 96)))
    with pytest.raises(RecipeError, match="channels"):
        DistilTrainer(recipe(latents, tmp_path / "student", teacher=teacher))


def test_total_loss_is_what_the_trainer_minimises(latents: Path, teacher: Path, tmp_path: Path) -> None:
    trainer = DistilTrainer(recipe(latents, tmp_path / "student", teacher=teacher))
    torch.manual_seed(0)
    loss, terms = trainer.losses(0)
    found = {name: torch.as_tensor(term).item() for name, term in terms.items()}
    inner = 0.5 * found["l_task"] + 0.01 * found["a_fine"] * found["l_fine"]
    assert loss.item() == pytest.approx(0.01 * found["l_coarse"] + found["a_task"] * inner, rel=1e-5)


def test_recomputed_activations_give_the_same_balancing_gradients_and_statistics(
    latents: Path, teacher: Path, autoencoder: Path, tmp_path: Path
) -> None:
    inputs = {"teacher": teacher, "autoencoder": autoencoder}
    kept = DistilTrainer(recipe(latents, tmp_path / "kept", **inputs))
    recomputed = DistilTrainer(recipe(latents, tmp_path / "again", gradient_checkpointing=True, **inputs))
    for step in range(2):
        assert recomputed.step(step) == kept.step(step)
    for mine, theirs in zip(recomputed.network.parameters(), kept.network.parameters(), strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        assert torch.equal(mine.grad, theirs.grad)
    statistics = kept.network.state_dict()
    assert all(
        torch.equal(value, statistics[name]) for name, value in recomputed.network.state_dict().items()
    )


def test_bf16_balances_the_losses_as_fp32_does_up_to_its_precision(
    latents: Path, teacher: Path, autoencoder: Path, tmp_path: Path
) -> None:
    inputs = {"teacher": teacher, "autoencoder": autoencoder}
    full = DistilTrainer(recipe(latents, tmp_path / "full", **inputs))
    half = DistilTrainer(recipe(latents, tmp_path / "half", mixed_precision="bf16", **inputs))
    fill(full.network)
    fill(half.network)
    terms = half.step(0)
    assert terms == pytest.approx(full.step(0), rel=0.2)
    assert all(math.isfinite(value) for value in terms.values())
    for parameter in half.network.parameters():
        assert parameter.dtype == torch.float32
        assert parameter.isfinite().all()
