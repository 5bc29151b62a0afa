"""Latents from shards or encoded on the way: the same interface, and the network's shape or a clear error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.latent_data import LATENT_SIDE, PICTURES, small_recipe, write_published_autoencoder
from training.errors import DataError
from training.latent_encoding import encode_recipe
from training.latent_source import open_latents
from training.latents import LatentBatch, LatentShards
from training.online_latents import OnlineLatents, skipped_path
from training.samples import Sample, SampleSource


def online(folder: Path) -> OnlineLatents:
    recipe = small_recipe(folder, mode="online")
    encode_recipe(recipe)
    source = open_latents(recipe.output, latent_side=LATENT_SIDE)
    assert isinstance(source, OnlineLatents)
    return source


def equal(one: LatentBatch, other: LatentBatch) -> bool:
    names = ("latents", "masked_latents", "mask", "category")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)


def test_cached_latents_come_from_shards(tmp_path: Path, latents: Path) -> None:
    assert isinstance(open_latents(latents, latent_side=8), LatentShards)
    recipe = small_recipe(tmp_path / "new", shards=1)
    encode_recipe(recipe)
    assert isinstance(open_latents(recipe.output, latent_side=LATENT_SIDE), LatentShards)


def test_online_latents_leave_no_shards_and_have_the_same_shapes(tmp_path: Path) -> None:
    source = online(tmp_path)
    assert not list((tmp_path / "latents").glob("*.npz"))
    assert len(source) == PICTURES
    batch = source.batch(0, 0, 4)
    assert batch.latents.shape == batch.masked_latents.shape == (4, 4, LATENT_SIDE, LATENT_SIDE)
    assert batch.mask.shape == (4, 1, LATENT_SIDE, LATENT_SIDE)
    assert set(batch.mask.flatten().tolist()) == {0.0, 1.0}
    assert len({mask.numpy().tobytes() for mask in batch.mask}) == 4  # a hole of its own for each


def test_an_online_batch_is_a_function_of_seed_and_step(tmp_path: Path) -> None:
    source = online(tmp_path)
    batches = [source.batch(3, step, 4) for step in range(4)]
    fresh = online(tmp_path)  # as after a resume: no step was drawn ahead
    assert equal(fresh.batch(3, 2, 4), batches[2])
    assert equal(fresh.batch(3, 3, 4), batches[3])
    assert equal(fresh.batch(3, 0, 4), batches[0])
    assert not equal(fresh.batch(4, 2, 4), batches[2])


def test_processes_and_micro_batches_draw_their_rows_of_an_online_batch(tmp_path: Path) -> None:
    source, parts = online(tmp_path), online(tmp_path)
    for step in range(3):
        whole = source.batch(0, step, 4)
        for rows in (slice(0, 2), slice(2, 4)):
            part = parts.batch(0, step, 4, rows)
            assert torch.equal(part.mask, whole.mask[rows])
            assert torch.allclose(part.latents, whole.latents[rows], atol=2e-3)


def test_a_sample_that_was_drawn_ahead_is_not_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = online(tmp_path)
    drawn: list[int | None] = []
    draw = SampleSource.draw

    def counted(self: SampleSource, rng: np.random.Generator, index: int | None = None) -> Sample:
        drawn.append(index)
        return draw(self, rng, index)

    monkeypatch.setattr(SampleSource, "draw", counted)
    for step in range(3):
        for rows in (slice(0, 2), slice(2, 4)):
            source.batch(0, step, 4, rows)
    source.pool.shutdown()
    assert len(drawn) == (3 + 1) * 4  # three steps, and the one that would follow


def test_bad_pictures_are_listed_while_training(tmp_path: Path) -> None:
    source = online(tmp_path)
    for step in range(PICTURES // 4):
        source.batch(0, step, 4)
    rows = skipped_path(tmp_path / "latents").read_text().splitlines()
    assert [row.split("\t")[0] for row in rows] == ["entry", "3.png", "5.png"]


def test_another_process_keeps_a_list_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert skipped_path(tmp_path).name == "skipped.tsv"
    monkeypatch.setenv("RANK", "3")
    assert skipped_path(tmp_path).name == "skipped-3.tsv"


def test_latents_of_another_side_are_refused(tmp_path: Path, latents: Path) -> None:
    with pytest.raises(DataError, match="are 4 channels of 8 x 8, the network reads 4 channels of 32 x 32"):
        open_latents(latents, latent_side=32)
    recipe = small_recipe(tmp_path / "new", mode="online")
    encode_recipe(recipe)
    with pytest.raises(DataError, match="the network reads 16 channels of 8 x 8"):
        open_latents(recipe.output, latent_side=8, latent_channels=16)


def test_latents_of_an_autoencoder_that_changed_are_refused(tmp_path: Path) -> None:
    published = write_published_autoencoder(tmp_path / "vae")
    encode_recipe(small_recipe(tmp_path, mode="online", autoencoder=published))
    config = json.loads((published / "config.json").read_text())
    write_published_autoencoder(published, levels=3)
    assert json.loads((published / "config.json").read_text()) != config
    with pytest.raises(DataError, match=r"the autoencoder in .*vae has changed"):
        open_latents(tmp_path / "latents", latent_side=LATENT_SIDE)


def test_a_damaged_description_is_named(latents: Path) -> None:
    (latents / "shards.json").write_text("{")
    with pytest.raises(DataError, match=r"shards\.json is damaged"):
        open_latents(latents, latent_side=8)
