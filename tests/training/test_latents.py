"""Shards of latents as training reads them: which samples a step gets, and folders that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import SAMPLES
from training.errors import DataError
from training.latents import LatentBatch, LatentShards, mapped_arrays


def numbers_of(batch: LatentBatch) -> list[int]:
    """Which samples of the toy folder these are."""
    return [int(number) for number in batch.masked_latents[:, 0, 0, 0]]


def test_a_batch_is_a_function_of_seed_and_step(latents: Path) -> None:
    one, again = (LatentShards(latents).batch(seed=3, step=5, size=4) for _ in range(2))
    assert torch.equal(one.latents, again.latents)
    assert torch.equal(one.mask, again.mask)
    other = LatentShards(latents).batch(seed=4, step=5, size=4)
    assert not torch.equal(one.latents, other.latents)


def test_the_samples_of_a_seed_and_a_step_stay_what_they_were(latents: Path) -> None:
    shards = LatentShards(latents)
    assert [numbers_of(shards.batch(3, step, 4)) for step in (0, 5)] == [[11, 15, 9, 1], [0, 15, 7, 10]]


def test_an_epoch_has_every_sample_once_and_the_next_another_order(latents: Path) -> None:
    shards = LatentShards(latents)
    numbers = [number for step in range(2 * SAMPLES // 4) for number in numbers_of(shards.batch(0, step, 4))]
    first, second = numbers[:SAMPLES], numbers[SAMPLES:]
    assert sorted(first) == sorted(second) == list(range(SAMPLES))
    assert first != second


def test_a_process_reads_its_rows_of_the_batch(latents: Path) -> None:
    shards = LatentShards(latents)
    whole = shards.batch(0, 2, 6)
    part = shards.batch(0, 2, 6, slice(2, 5))
    assert torch.equal(part.latents, whole.latents[2:5])
    assert torch.equal(part.category, whole.category[2:5])


def test_a_batch_has_the_shapes_that_the_network_reads(latents: Path) -> None:
    shards = LatentShards(latents)
    batch = shards.batch(0, 0, 4)
    assert (shards.latent_channels, shards.latent_side) == (4, 8)
    assert batch.latents.shape == batch.masked_latents.shape == (4, 4, 8, 8)
    assert batch.mask.shape == (4, 1, 8, 8)
    assert set(batch.mask.flatten().tolist()) == {0.0, 1.0}
    assert batch.category.dtype == torch.int64


def test_mapped_arrays_are_those_that_numpy_loads(latents: Path) -> None:
    path = latents / "0000.npz"
    mapped = mapped_arrays(path)
    with np.load(path) as loaded:
        assert set(mapped) == set(loaded.files)
        for name in loaded.files:
            assert np.array_equal(mapped[name], loaded[name])
            assert mapped[name].dtype == loaded[name].dtype
    with pytest.raises(ValueError, match="read-only"):
        mapped["category"][0] = 5


def test_a_batch_larger_than_all_samples_is_refused(latents: Path) -> None:
    with pytest.raises(DataError, match="has 16 samples, fewer than a batch of 17"):
        LatentShards(latents).batch(0, 0, 17)


def test_a_damaged_or_compressed_shard_is_named(latents: Path) -> None:
    path = latents / "0001.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"0001\.npz is damaged .*: delete it"):
        LatentShards(latents)
    with np.load(latents / "0000.npz") as arrays:
        np.savez_compressed(path, **arrays)
    with pytest.raises(DataError, match=r"0001\.npz is damaged .*is compressed"):
        LatentShards(latents)


def test_a_folder_without_shards_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0000.partial.npz").touch()
    with pytest.raises(DataError, match=r"no shards in .*: run the `latents` job first"):
        LatentShards(tmp_path)
