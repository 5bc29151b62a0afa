"""Shards of latents: what is in them, and which samples a step gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tests.training.conftest import SAMPLES
from training.latents import LatentBatch, LatentShards, encode_samples, write_shards
from training.masks import MaskSampler
from training.photos import CropSampler
from training.samples import Sample, SampleSource

CELL = 8


def pool(images: Tensor) -> Tensor:
    """A codec of cell means: [B, 3, s, s] -> [B, 3, h, w]."""
    return avg_pool2d(images, CELL)


def numbers_of(batch: LatentBatch) -> list[float]:
    """Which samples of the toy folder these are."""
    numbers: list[float] = batch.masked_latents[:, 0, 0, 0].tolist()
    return numbers


def source(side: int = 32) -> SampleSource:
    rng = np.random.default_rng(5)
    photos = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(3)]
    cutout = np.full((20, 12, 4), 255, np.uint8)
    return SampleSource(CropSampler(photos, side, least=0.6), MaskSampler(side), [cutout])


def test_a_batch_is_a_function_of_seed_and_step(latents: Path) -> None:
    one, again = (LatentShards(latents).batch(seed=3, step=5, size=4) for _ in range(2))
    assert torch.equal(one.latents, again.latents)
    assert torch.equal(one.mask, again.mask)
    other = LatentShards(latents).batch(seed=4, step=5, size=4)
    assert not torch.equal(one.latents, other.latents)


def test_an_epoch_has_every_sample_once_and_the_next_another_order(latents: Path) -> None:
    shards = LatentShards(latents)
    numbers = [int(n) for step in range(2 * SAMPLES // 4) for n in numbers_of(shards.batch(0, step, 4))]
    first, second = numbers[:SAMPLES], numbers[SAMPLES:]
    assert sorted(first) == sorted(second) == list(range(SAMPLES))
    assert first != second


def test_a_batch_has_the_shapes_that_the_network_reads(latents: Path) -> None:
    batch = LatentShards(latents).batch(0, 0, 4)
    assert batch.latents.shape == batch.masked_latents.shape == (4, 4, 8, 8)
    assert batch.mask.shape == (4, 1, 8, 8)
    assert set(batch.mask.flatten().tolist()) == {0.0, 1.0}


def test_the_hole_of_a_masked_picture_is_mid_grey_over_whole_cells() -> None:
    picture = np.full((32, 32, 3), 255, np.uint8)
    hole = np.zeros((32, 32), np.bool_)
    hole[9, 10] = True  # one pixel of the second cell, down and across
    arrays = encode_samples([Sample(picture, hole, 1)], pool, CELL)
    expected = np.ones((4, 4), np.float16)
    expected[1, 1] = 0
    assert (arrays["masked_latents"][0] == expected).all()
    assert (arrays["latents"] == 1).all()
    assert arrays["mask"][0].sum() == 1
    assert arrays["category"].tolist() == [1]


def test_shards_are_made_once_and_are_the_same_when_made_again(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        write_shards(tmp_path / folder, source(), pool, cell=CELL, shards=2, size=4, seed=1)
    first, second = tmp_path / "one" / "0000.npz", tmp_path / "other" / "0000.npz"
    with np.load(first) as mine, np.load(second) as theirs:
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine.files)
    made = first.stat().st_mtime_ns
    write_shards(tmp_path / "one", source(), pool, cell=CELL, shards=3, size=4, seed=1)
    assert first.stat().st_mtime_ns == made
    assert len(LatentShards(tmp_path / "one")) == 12


def test_a_folder_without_shards_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0000.partial.npz").touch()
    with pytest.raises(FileNotFoundError, match="latents"):
        LatentShards(tmp_path)
