"""All contenders of the distillation benchmark do the same work, and the report says which did it how fast."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.distillation import CONTENDERS, PUBLISHED, SIZE_NAMES, DistillationReport, Row, markdown
from benchmarks.distillation_steps import (
    SIZES,
    EncodedPictures,
    Size,
    encoder_of,
    gradient_steps,
    open_trainer,
    set_perceptual,
    write_latents,
)
from benchmarks.measuring import Spread
from benchmarks.peak_memory import memory_of_call
from benchmarks.published_loop import PublishedLoop
from service.model.nano_autoencoder import NanoAutoencoderConfig
from service.model.unet import MoebiusUNet
from tests.small_model import UNET
from training.architectures import STUDENTS, TEACHERS
from training.distil import DistilTrainer, refuse_unlike, student_of
from training.latents import LatentBatch
from training.teacher import PixelHackerUNet
from training.teacher_config import TeacherConfig

ROOT = Path(__file__).resolve().parents[3]
TEACHER = TeacherConfig(
    sample_size=8, channels=(32, 64, 64), layers_per_level=1, token_width=32, cross_width=16
)
WEIGHTS = {"a_task", "a_fine", "a_perceptual"}


@pytest.fixture
def size(monkeypatch: pytest.MonkeyPatch) -> Size:
    """The smallest networks there are."""
    monkeypatch.setitem(STUDENTS, "moebius-tiny", UNET)
    monkeypatch.setitem(TEACHERS, "pixelhacker-tiny", TEACHER)
    return Size("moebius-tiny", "pixelhacker-tiny", NanoAutoencoderConfig(width=8), batch=2, crop=4)


@pytest.fixture
def trainer(size: Size, tmp_path: Path) -> DistilTrainer:
    """Ours, on latents encoded by the autoencoder that it has, judged by features."""
    write_latents(size, tmp_path)
    return open_trainer(size, tmp_path, "features")


class UnroundedLatents(EncodedPictures):
    """The published loop's latents: fp32, where shards hold half precision."""

    def __init__(self, size: Size, loop: PublishedLoop) -> None:
        super().__init__(size, encoder_of(loop.autoencoder, loop.trainer.device))
        self.loop = loop

    def batch(self, seed: int, step: int, size: int, rows: slice = slice(None)) -> LatentBatch:
        latents, masked_latents = self.loop.encoded()
        rounded = super().batch(seed, step, size, rows)
        return replace(rounded, latents=latents, masked_latents=masked_latents)


def numbers(terms: Mapping[str, Tensor | float]) -> dict[str, float]:
    return {name: torch.as_tensor(term).item() for name, term in terms.items()}


def gradient(trainer: DistilTrainer, loss: Tensor) -> dict[str, Tensor]:
    """Of every parameter of the student."""
    trainer.network.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    named = trainer.network.named_parameters()
    return {name: parameter.grad for name, parameter in named if parameter.grad is not None}


@pytest.mark.parametrize("perceptual", ["features", "none"])
def test_the_published_structure_has_our_weights_and_our_gradients(
    trainer: DistilTrainer, size: Size, perceptual: str
) -> None:
    set_perceptual(trainer, size, perceptual)
    loop = PublishedLoop(trainer, size.samples())
    trainer.source = UnroundedLatents(size, loop)
    torch.manual_seed(1)
    loss, terms = trainer.losses(0)
    ours, our_gradient = numbers(terms), gradient(trainer, loss)
    torch.manual_seed(1)
    loss, terms = loop.losses()
    assert numbers(terms) == pytest.approx(ours, rel=1e-4)
    assert ours.keys() >= (WEIGHTS if perceptual == "features" else WEIGHTS - {"a_perceptual"})
    assert all(value > 0 for value in ours.values())
    theirs = gradient(trainer, loss)
    assert theirs.keys() == our_gradient.keys()
    rounding = 1e-5 * max(float(found.abs().max()) for found in theirs.values())  # of gradients that are zero
    for name, found in theirs.items():
        torch.testing.assert_close(found, our_gradient[name], rtol=1e-3, atol=rounding)


def test_all_contenders_have_the_same_latents(trainer: DistilTrainer, size: Size) -> None:
    assert trainer.autoencoder is not None
    encoded = EncodedPictures(size, encoder_of(trainer.autoencoder, trainer.device)).batch(0, 0, size.batch)
    cached = trainer.source.batch(0, 0, size.batch)
    order = [int(category) for category in cached.category]
    assert sorted(order) == [0, 1]
    for name in ("latents", "masked_latents", "mask"):
        assert torch.equal(getattr(cached, name), getattr(encoded, name)[order])
    loop = PublishedLoop(trainer, size.samples())
    assert torch.equal(loop.mask, encoded.mask)
    for ours, published in zip((encoded.latents, encoded.masked_latents), loop.encoded(), strict=True):
        torch.testing.assert_close(ours, published, rtol=1e-3, atol=1e-3)  # ours are half precision


def test_every_contender_leaves_a_gradient_of_the_whole_student(trainer: DistilTrainer, size: Size) -> None:
    steps = gradient_steps(trainer, size)
    assert tuple(steps) == CONTENDERS
    for step in steps.values():
        trainer.network.zero_grad(set_to_none=True)
        step()
        found = [parameter.grad for parameter in student_of(trainer).parameters()]
        assert all(grad is not None and bool(grad.isfinite().all() and grad.any()) for grad in found)


def test_the_memory_of_a_call_is_what_it_held_at_once_whatever_was_held_before() -> None:
    torch.ones(256, 1024, 1024)  # a gibibyte, let go at once

    def call() -> None:
        for _ in range(2):
            torch.ones(64, 1024, 1024)  # 256 MiB, let go at once

    found = memory_of_call(call, torch.device("cpu"))
    assert 250 < found.added < 400
    assert found.whole > found.added


def test_each_size_of_the_command_line_is_there_and_its_teacher_fits() -> None:
    assert tuple(SIZES) == SIZE_NAMES
    assert (SIZES["published"].side, SIZES["nano"].side) == (512, 256)
    for size in SIZES.values():
        with torch.device("meta"):
            refuse_unlike(PixelHackerUNet(TEACHERS[size.teacher]), MoebiusUNet(STUDENTS[size.student]))


def test_the_report_has_a_table_for_each_perceptual_loss() -> None:
    rows = [
        Row("tiny", "small networks", kind, name, Spread(1, 2, 3), Spread(1, 1, 1), 10.0, 2000.0)
        for kind in ("features", "none")
        for name in CONTENDERS
    ]
    text = markdown(DistillationReport("a machine", "CPU, fp32", 2, 3, {"torch": "2"}, rows), "the command")
    assert "Hardware: a machine." in text
    assert "`the command`" in text
    assert text.count("small networks; perceptual loss: ") == 2
    assert text.count(f"| {PUBLISHED} | 2.000 (1.000 - 3.000) | 1.00 (1.00 - 1.00) | 10 | 2,000 |") == 2


@pytest.mark.slow
def test_the_command_measures_a_size_and_writes_its_numbers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "distillation", "--size", "tiny", "--perceptual", "none"]
    command += ["--rounds", "1", "--threads", "1", "--output", str(tmp_path)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    report = json.loads((tmp_path / "distillation.json").read_text())
    assert [row["contender"] for row in report["rows"]] == list(CONTENDERS)
    assert all(row["added_memory"] > 0 and row["rate"]["least"] > 0 for row in report["rows"])
    assert finished.stdout.strip() == (tmp_path / "distillation.md").read_text().strip()
