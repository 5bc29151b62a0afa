"""Few-step distillation on the smallest network: the teacher's path, both targets, and what is left of guidance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from service.model.unet import MoebiusUNet
from tests.small_model import UNET, fill
from training.architectures import STUDENTS
from training.checkpoints import CHECKPOINT, save_checkpoint
from training.denoising import token_ids
from training.errors import RecipeError
from training.few_step import CLEAN, FewStepRecipe, FewStepTrainer, teacher_timesteps
from training.noising import move
from training.sampling import guided_ddim


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STUDENTS, "moebius-nano", UNET)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """The folder of a run of the U-Net that takes many steps."""
    folder = tmp_path / "many-steps"
    folder.mkdir()
    network = fill(MoebiusUNet(UNET))
    save_checkpoint(folder / CHECKPOINT, {"average": network.state_dict(), "config": UNET.to_dict()})
    return folder


def recipe(latents: Path, teacher: Path, output: Path, **changes: Any) -> FewStepRecipe:
    settings: dict[str, Any] = {
        "steps": 3,
        "batch": 4,
        "sample_every": 0,
        "tensorboard": False,
        "architecture": "moebius-nano",
        "prediction_type": "v_prediction",
        "known_weight": 0.1,
        "frozen_batch_norm": True,
    }
    return FewStepRecipe(latents=latents, teacher=teacher, output=output, **{**settings, **changes})


def test_the_teacher_divides_every_stretch_of_the_student_and_the_last_one_to_the_end() -> None:
    assert teacher_timesteps((999, 749, 499, 249), 2) == (999, 874, 749, 624, 499, 374, 249, 124, CLEAN)
    assert teacher_timesteps((800, 300), 1) == (800, 300, CLEAN)


def test_a_progressive_target_takes_the_student_where_guided_sampling_takes_the_teacher(
    latents: Path, teacher: Path, tmp_path: Path
) -> None:
    trainer = FewStepTrainer(
        recipe(latents, teacher, tmp_path / "run", teacher_steps=3, timesteps=(999, 400))
    )
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 4, 8, 8, generator=generator)
    condition = torch.randn(2, 5, 8, 8, generator=generator)
    category = torch.tensor([0, 1])
    start = torch.tensor(
        [3, 3]
    )  # the second of the student's timesteps: its stretch ends at the clean latents
    inputs = (torch.cat([noise, condition], 1), torch.full((2,), 400), token_ids(category))
    velocity = trainer.target(inputs, start, category)
    reached = move(noise, velocity, trainer.alpha_at(start), torch.ones(2, 1, 1, 1))
    sampled = guided_ddim(
        trainer.teacher,
        noise,
        condition,
        token_ids(category),
        token_ids(1 - category),
        timesteps=trainer.path[3:6],
        guidance_scale=2.0,
        prediction_type="v_prediction",
    )
    assert torch.allclose(reached, sampled, atol=1e-4)


def test_a_consistency_target_is_what_the_average_sees_one_step_further(
    latents: Path, teacher: Path, tmp_path: Path
) -> None:
    trainer = FewStepTrainer(recipe(latents, teacher, tmp_path / "run", method="consistency"))
    noise, condition, category = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 8, 8), torch.tensor([0, 1])
    start = torch.tensor([2, 7])  # the second is the last place before the end
    inputs = (torch.cat([noise, condition], 1), torch.tensor(trainer.path)[start], token_ids(category))
    velocity = trainer.target(inputs, start, category)
    clean = move(noise, velocity, trainer.alpha_at(start), torch.ones(2, 1, 1, 1))
    moved = trainer.teacher_step(noise, condition, start, category)
    seen = trainer.averaged_clean(moved, condition, start + 1, token_ids(category))
    assert torch.allclose(clean, seen, atol=1e-4)
    assert torch.equal(seen[1], moved[1])
    assert not torch.allclose(seen[0], moved[0], atol=1e-2)


@pytest.mark.parametrize("method", ["progressive", "consistency"])
def test_training_on_one_batch_brings_the_student_to_its_target(
    latents: Path, teacher: Path, tmp_path: Path, method: str
) -> None:
    settings = {"method": method, "matrix_learning_rate": 2e-3, "vector_learning_rate": 1e-3}
    trainer = FewStepTrainer(recipe(latents, teacher, tmp_path / "run", task_share=0.0, **settings))
    first = trainer.step(0)["l_fine"]
    for _ in range(10):
        last = trainer.step(0)["l_fine"]
    assert last < 0.8 * first


def test_the_truth_pulls_too(latents: Path, teacher: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"matrix_learning_rate": 2e-3, "vector_learning_rate": 1e-3, "fine_share": 0.0}
    trainer = FewStepTrainer(recipe(latents, teacher, tmp_path / "run", **settings))
    first = trainer.step(0)["l_task"]
    for _ in range(10):
        last = trainer.step(0)["l_task"]
    assert last < 0.9 * first


def test_a_sample_that_starts_at_the_first_timestep_starts_from_noise_alone(
    latents: Path, teacher: Path, tmp_path: Path
) -> None:
    trainer = FewStepTrainer(recipe(latents, teacher, tmp_path / "run", timesteps=(500,), teacher_steps=1))
    torch.manual_seed(0)
    trainer.losses(0)
    torch.manual_seed(0)
    torch.randint(1, (4,))
    assert torch.equal(trainer.batch_seen["sample"][:, :4], torch.randn(4, 4, 8, 8))


@pytest.mark.parametrize("timesteps", [(), (249, 499), (1000, 500), (500, 0)])
def test_timesteps_that_can_not_be_sampled_are_refused(timesteps: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="timesteps"):
        recipe(tmp_path, tmp_path, tmp_path, timesteps=timesteps)
