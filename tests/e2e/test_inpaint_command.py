"""`moebius inpaint` as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.integration.edge.pictures import JPEG, MASK, PHOTO, photo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photo.png").write_bytes(PHOTO)
    (tmp_path / "photo.jpg").write_bytes(JPEG)
    (tmp_path / "mask.png").write_bytes(MASK)
    return tmp_path


def moebius(folder: Path, *arguments: str, backend: str = "dummy") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service.cli", "inpaint", *arguments, "--backend", backend]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
    )


def test_a_photo_is_filled_and_the_stages_are_told(folder: Path) -> None:
    done = moebius(folder, "photo.png", "mask.png", "-o", "out.png", "--seed", "7")
    assert done.returncode == 0, done.stderr
    after, before = np.asarray(Image.open(folder / "out.png")), np.asarray(photo())
    assert after.shape == before.shape
    assert not np.array_equal(after, before)
    assert all(stage in done.stdout for stage in ("decode", "vae_encode", "denoise", "vae_decode", "encode"))
    assert "seed 7" in done.stdout


@pytest.mark.parametrize(("name", "kind"), [("out.jpg", "JPEG"), ("out.webp", "WEBP"), ("out.png", "PNG")])
def test_the_suffix_of_the_output_says_the_format(folder: Path, name: str, kind: str) -> None:
    assert moebius(folder, "photo.jpg", "mask.png", "-o", name).returncode == 0
    with Image.open(folder / name) as image:
        assert image.format == kind


def test_candidates_have_their_seed_in_the_name(folder: Path) -> None:
    assert (
        moebius(folder, "photo.png", "mask.png", "-o", "out.png", "--n", "2", "--seed", "5").returncode == 0
    )
    assert sorted(path.name for path in folder.glob("out*")) == ["out-5.png", "out-6.png"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("nowhere.png", "mask.png", "-o", "out.png"), 1, "nowhere.png"),
        (("mask.png", "photo.png", "-o", "out.tiff"), 2, ".tiff"),
        (("photo.png", "mask.png", "-o", "out.png", "--steps", "0"), 2, "steps"),
        (
            ("photo.png", "mask.png", "-o", "out.png", "--steps", "1", "--strength", "0.5"),
            2,
            "steps x strength must be at least 1",
        ),
        (
            ("photo.png", "mask.png", "-o", "out.png", "--n", "2", "--seed", "4294967295"),
            2,
            "seed is 4294967295, but with n = 2 (seeds seed, seed + 1, ...) it must be at most 4294967294.",
        ),
        (("photo.png", "mask.png", "-o", "no/such/folder/out.png"), 1, "no/such/folder"),
        (("photo.png", "mask.png", "-o", "out.png", "--mask-polarity", "green"), 2, "mask_polarity"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    folder: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = moebius(folder, *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (status, 1)
    assert words in done.stderr
    assert not list(folder.glob("out*"))


def test_a_mask_that_selects_nothing_is_refused(folder: Path) -> None:
    Image.new("L", (96, 80)).save(folder / "empty.png")
    done = moebius(folder, "photo.png", "empty.png", "-o", "out.png")
    assert done.returncode == 1
    assert "mask" in done.stderr


def test_a_few_step_model_takes_its_own_steps_and_refuses_others(folder: Path) -> None:
    few_step = ("photo.png", "mask.png", "-o", "out.png", "--model", "moebius-nano-4step")
    own = moebius(folder, *few_step, backend="onnxruntime")
    assert own.returncode == 0, own.stderr
    assert "model moebius-nano-4step" in own.stdout
    (folder / "out.png").unlink()
    other = moebius(folder, *few_step, "--steps", "20", backend="onnxruntime")
    assert (other.returncode, other.stderr.count("\n")) == (1, 1)
    assert "distilled to 4 steps: leave `steps` out or say 4" in other.stderr
    assert not (folder / "out.png").exists()
