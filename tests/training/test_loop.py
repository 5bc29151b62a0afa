"""The loop that all trainers share: how a step is put together, what a run leaves behind, and how it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.small_model import UNET
from tests.training.small_training import ARCHITECTURE, small_recipe
from training.architectures import STUDENTS
from training.checkpoints import load_checkpoint, save_checkpoint
from training.diffusion import DiffusionTrainer
from training.errors import CheckpointMismatch, RecipeError
from training.progress import Lines
from training.run_log import Picture


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STUDENTS, ARCHITECTURE, UNET)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([tensor.flatten().double() for tensor in network.state_dict().values()])


def trained(latents: Path, folder: Path, **changes: object) -> DiffusionTrainer:
    """A trainer that has made two steps."""
    trainer = DiffusionTrainer(small_recipe(latents, folder, steps=4, **changes))
    for step in range(2):
        trainer.step(step)
    return trainer


def test_a_run_repeats_itself_bit_for_bit_and_checkpointed_gradients_change_none(
    latents: Path, tmp_path: Path
) -> None:
    once = trained(latents, tmp_path)
    again = trained(latents, tmp_path)
    checkpointed = trained(latents, tmp_path, gradient_checkpointing=True)
    assert torch.equal(weights(again.network), weights(once.network))
    assert torch.equal(weights(checkpointed.network), weights(once.network))


def test_gradient_checkpointing_keeps_less(latents: Path, tmp_path: Path) -> None:
    def kept(**changes: object) -> int:
        trainer = DiffusionTrainer(small_recipe(latents, tmp_path, **changes))
        sizes: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        torch.manual_seed(0)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            trainer.losses(0)
        return sum(sizes)

    assert kept(gradient_checkpointing=True) < 0.3 * kept()


def test_micro_batches_compute_what_the_whole_batch_does(latents: Path, tmp_path: Path) -> None:
    whole = DiffusionTrainer(small_recipe(latents, tmp_path, frozen_batch_norm=True))
    parts = DiffusionTrainer(small_recipe(latents, tmp_path, frozen_batch_norm=True, accumulate=4))
    assert parts.step(0) == pytest.approx(whole.step(0), rel=1e-5)
    for mine, theirs in zip(parts.network.parameters(), whole.network.parameters(), strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        assert torch.allclose(mine.grad, theirs.grad, rtol=1e-3, atol=1e-6)


def test_a_batch_that_does_not_divide_is_refused(latents: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a multiple of 1 processes x 3 micro-batches"):
        DiffusionTrainer(small_recipe(latents, tmp_path, accumulate=3))


def test_frozen_statistics_stay_while_their_gains_train(latents: Path, tmp_path: Path) -> None:
    trainer = DiffusionTrainer(small_recipe(latents, tmp_path, frozen_batch_norm=True))
    norm = trainer.network.get_submodule("diff_model.conv_in.bn1")
    assert isinstance(norm, nn.BatchNorm2d)
    gain = norm.weight.detach().clone()
    trainer.step(0)
    assert norm.running_mean is not None
    assert norm.running_mean.abs().max() == 0
    assert not torch.equal(norm.weight, gain)


def test_a_tensor_that_is_not_the_global_batch_is_not_shared(latents: Path, tmp_path: Path) -> None:
    trainer = DiffusionTrainer(small_recipe(latents, tmp_path))
    with pytest.raises(ValueError, match="noise must have 4 rows"):
        trainer.share("noise", torch.zeros(2, 3))


def test_bf16_computes_in_half_and_keeps_weights_whole_beside_a_run_in_fp32(
    latents: Path, tmp_path: Path
) -> None:
    full = DiffusionTrainer(small_recipe(latents, tmp_path)).step(0)
    trainer = DiffusionTrainer(small_recipe(latents, tmp_path, mixed_precision="bf16"))
    seen: set[torch.dtype] = set()
    trainer.network.get_submodule("diff_model.conv_in.conv_pw").register_forward_hook(
        lambda _module, _inputs, output: seen.add(output.dtype)
    )
    half = trainer.step(0)
    assert seen == {torch.bfloat16}
    assert half == pytest.approx(full, rel=0.05)
    assert half != full
    assert {parameter.dtype for parameter in trainer.network.parameters()} == {torch.float32}


def test_a_step_that_is_not_finite_leaves_its_batch_and_the_weights_before_it(
    latents: Path, tmp_path: Path
) -> None:
    trainer = DiffusionTrainer(small_recipe(latents, tmp_path / "run"))
    trainer.step(0)
    before = weights(trainer.network)
    trainer.alphas_cumprod = torch.full((1000,), float("nan"))
    with pytest.raises(FloatingPointError, match=r"at step 1 .*nan_step_1\.pt"):
        trainer.step(1)
    found = load_checkpoint(tmp_path / "run" / "nan_step_1.pt")
    assert found is not None
    assert found["step"] == 1
    assert found["terms"].keys() == {"l_task"}
    assert found["batch"]["sample"].isnan().any()
    assert len(found["batch"]["timesteps"]) == trainer.loop.batch
    assert torch.equal(torch.cat([t.flatten().double() for t in found["network"].values()]), before)
    assert torch.equal(weights(trainer.network), before)


def test_a_gradient_that_is_not_finite_ends_the_run_too(latents: Path, tmp_path: Path) -> None:
    trainer = DiffusionTrainer(small_recipe(latents, tmp_path / "run"))
    first = next(trainer.network.parameters())
    first.register_hook(lambda gradient: gradient * float("inf"))  # type: ignore[no-untyped-call]
    with pytest.raises(FloatingPointError, match=r"the gradient's norm (inf|nan) at step 0"):
        trainer.step(0)


class SignalledTrainer(DiffusionTrainer):
    """Is sent a signal in its second step."""

    number = signal.SIGTERM

    def losses(self, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        if step == 1:
            os.kill(os.getpid(), self.number)
        return super().losses(step)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_after_its_step_with_a_checkpoint(
    latents: Path, tmp_path: Path, number: signal.Signals, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SignalledTrainer, "number", number)
    handler = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended:
        SignalledTrainer(small_recipe(latents, tmp_path / "run", steps=5)).run()
    assert ended.value.code == status
    state = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert state is not None
    assert state["step"] == 2
    assert signal.getsignal(number) is handler


class DrawingTrainer(DiffusionTrainer):
    """Draws a picture of its own."""

    def sample_grid(self, step: int) -> Picture | None:
        return torch.full((4, 8, 3), step, dtype=torch.uint8).numpy()


def test_a_run_leaves_losses_grids_checkpoints_its_recipe_and_a_report(
    latents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.run_log.display", lambda _first, steps: Lines(steps))
    folder = tmp_path / "run"
    loop = {"steps": 4, "checkpoint_every": 1, "keep_every": 2, "sample_every": 3}
    DrawingTrainer(small_recipe(latents, folder, **loop)).run()
    assert {path.name for path in folder.glob("*.pt")} == {
        "checkpoint.pt",
        "checkpoint_00000002.pt",
        "checkpoint_00000004.pt",
    }
    assert {path.name for path in (folder / "samples").iterdir()} == {
        "step_00000003.png",
        "step_00000004.png",
    }
    with Image.open(folder / "samples" / "step_00000003.png") as picture:
        assert picture.size == (8, 4)
        assert picture.getpixel((0, 0)) == (3, 3, 3)
    assert "steps: 4" in (folder / "recipe.yaml").read_text()
    assert len((folder / "losses.csv").read_text().splitlines()) == 5
    assert (folder / "report.md").exists()
    assert list((folder / "tensorboard").iterdir())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"batch": 2}, "batch is 2 here and was 4"),
        ({"seed": 1}, "seed is 1 here and was 0"),
        ({"schedule": "cosine"}, "schedule is 'cosine' here and was 'constant'"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused(
    latents: Path, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    trainer = DiffusionTrainer(small_recipe(latents, tmp_path, steps=4))
    trainer.step(0)
    trainer.save(1)
    with pytest.raises(CheckpointMismatch, match=named):
        DiffusionTrainer(small_recipe(latents, tmp_path, steps=4, **changes)).resume()


def test_a_checkpoint_of_another_network_or_version_is_refused(
    latents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = DiffusionTrainer(small_recipe(latents, tmp_path, steps=4))
    trainer.step(0)
    trainer.save(1)
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    assert state is not None
    save_checkpoint(tmp_path / "checkpoint.pt", state | {"config": state["config"] | {"heads": 4}})
    with pytest.raises(CheckpointMismatch, match="the network's heads is 8 here and was 4"):
        trainer.resume()
    del state["recipe"]
    save_checkpoint(tmp_path / "checkpoint.pt", state)
    with pytest.raises(CheckpointMismatch, match="an earlier version"):
        trainer.resume()


def test_a_constant_run_may_be_made_longer_and_a_cosine_may_not(latents: Path, tmp_path: Path) -> None:
    for schedule in ("constant", "cosine"):
        folder = tmp_path / schedule
        folder.mkdir()
        trainer = DiffusionTrainer(small_recipe(latents, folder, steps=4, schedule=schedule))
        trainer.step(0)
        trainer.save(1)
    longer = {"steps": 9, "checkpoint_every": 7, "sample_every": 2}
    assert DiffusionTrainer(small_recipe(latents, tmp_path / "constant", **longer)).resume() == 1
    with pytest.raises(CheckpointMismatch, match="steps is 9 here and was 4"):
        DiffusionTrainer(small_recipe(latents, tmp_path / "cosine", schedule="cosine", **longer)).resume()
