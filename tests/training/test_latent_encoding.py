"""The `latents` job: what is in a shard, who makes which, and how it goes on after a stop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor
from torch.nn.functional import avg_pool2d

from service.model.nano_autoencoder import NanoAutoencoderConfig
from tests.small_model import small_autoencoder
from tests.training.latent_data import (
    LATENT_SIDE,
    PICTURES,
    small_recipe,
    write_autoencoder,
    write_published_autoencoder,
)
from tests.training.picture_files import grey, square_mask, write_files, write_tar
from training.errors import DataError, RecipeError
from training.frozen_autoencoder import frozen_autoencoder
from training.latent_encoding import encode_recipe, encode_samples
from training.latent_manifest import read_manifest
from training.latent_recipe import LatentRecipe
from training.latents import LatentShards, mapped_arrays
from training.samples import Sample

CELL = 8
ROOT = Path(__file__).resolve().parents[2]


def pool(images: Tensor) -> Tensor:
    """A codec of cell means: [B, 3, s, s] -> [B, 3, h, w]."""
    return avg_pool2d(images, CELL)


def shards_equal(one: Path, other: Path) -> bool:
    mine, theirs = mapped_arrays(one), mapped_arrays(other)
    return set(mine) == set(theirs) and all(np.array_equal(mine[name], theirs[name]) for name in mine)


def as_file(recipe: LatentRecipe, path: Path) -> Path:
    settings = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(recipe).items()
        if value is not None
    }
    path.write_text(yaml.safe_dump({"latents": settings}))
    return path


def command(config: Path, *launcher: str) -> Sequence[str]:
    start = launcher or (sys.executable,)
    return [*start, "-m", "training", "latents", "--config", str(config)]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


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


def test_samples_of_several_chunks_keep_their_order() -> None:
    hole = np.ones((8, 8), np.bool_)
    samples = [Sample(np.full((8, 8, 3), level, np.uint8), hole, level % 2) for level in range(7)]
    arrays = encode_samples(samples, pool, CELL, chunk=3)
    assert arrays["category"].tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert (np.diff(arrays["latents"][:, 0, 0, 0]) > 0).all()


def test_every_picture_is_encoded_as_often_as_asked_and_bad_ones_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = small_recipe(tmp_path, copies=2)
    encode_recipe(recipe)
    shards = LatentShards(recipe.output)
    assert len(shards) == 2 * PICTURES
    skipped = (recipe.output / "skipped.tsv").read_text().splitlines()
    assert [row.split("\t")[0] for row in skipped] == ["entry", "3.png", "5.png"]
    manifest = read_manifest(recipe.output)
    assert manifest is not None
    assert manifest.counts is not None
    assert (manifest.counts.foreground, manifest.counts.background) == (2, 14)
    assert manifest.counts.skipped == 2
    assert NanoAutoencoderConfig.from_dict(manifest.autoencoder) == small_autoencoder().config
    assert (manifest.latent_channels, manifest.latent_side) == (4, LATENT_SIDE)
    printed = capsys.readouterr().out
    assert "shard 4 of 4" in printed
    assert "pictures/s" in printed
    assert "2 pictures could not be used" in printed


def test_a_latent_is_the_autoencoders_of_the_sample(tmp_path: Path) -> None:
    write_files(tmp_path / "even", {"a.png": grey(90)})
    recipe = small_recipe(tmp_path, photos=tmp_path / "even", shards=1)
    encode_recipe(recipe)
    with torch.inference_mode():
        expected = small_autoencoder().encode(torch.full((1, 3, 64, 64), 90 / 127.5 - 1))
    latents = LatentShards(recipe.output).batch(0, 0, 4).latents
    assert torch.allclose(latents, expected.expand_as(latents), rtol=2e-3, atol=2e-3)


def test_shards_are_the_same_when_made_again_and_those_that_are_there_are_kept(tmp_path: Path) -> None:
    for name in ("one", "other"):
        encode_recipe(small_recipe(tmp_path, output=tmp_path / name, shards=2))
    first, second = (tmp_path / name / "0001.npz" for name in ("one", "other"))
    assert shards_equal(first, second)
    made = first.stat().st_mtime_ns
    encode_recipe(small_recipe(tmp_path, output=tmp_path / "one", shards=3))
    assert first.stat().st_mtime_ns == made
    assert len(LatentShards(tmp_path / "one")) == 12


def test_latents_that_are_finished_need_their_pictures_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = small_recipe(tmp_path, shards=2)
    encode_recipe(recipe)
    shutil.rmtree(recipe.photos.parent)
    made = {path: path.stat().st_mtime_ns for path in recipe.output.iterdir()}
    encode_recipe(recipe)
    assert "the latents are finished" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in recipe.output.iterdir()} == made
    (recipe.output / "0001.npz").unlink()
    with pytest.raises(DataError, match=r"there is no .*list"):
        encode_recipe(recipe)


def test_finished_latents_of_an_autoencoder_that_changed_since_are_refused(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, shards=1)
    encode_recipe(recipe)
    shutil.rmtree(recipe.autoencoder)
    write_published_autoencoder(recipe.autoencoder)
    with pytest.raises(RecipeError, match="the autoencoder is"):
        encode_recipe(recipe)


def test_pictures_without_objects_are_said_to_give_no_holes_of_their_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path / "scenes", {"a.png": grey(90)})
    write_files(tmp_path / "masks", {"a.png": square_mask()})
    scenes = tmp_path / "scenes"
    encode_recipe(small_recipe(tmp_path, photos=scenes, shards=1))
    assert "no object-shaped holes" in capsys.readouterr().out
    masked = {"masks": tmp_path / "masks", "output": tmp_path / "of-masks"}
    encode_recipe(small_recipe(tmp_path, photos=scenes, shards=1, **masked))
    encode_recipe(small_recipe(tmp_path, output=tmp_path / "of-list", shards=1))
    assert "no object-shaped holes" not in capsys.readouterr().out


def test_a_folder_and_shards_are_encoded_as_well(tmp_path: Path) -> None:
    write_files(tmp_path / "folder", {"a.png": grey(90), "deep/b.png": grey(120)})
    write_tar(tmp_path / "s-0.tar", {"a.png": grey(90), "b.png": grey(120)})
    for name, photos in [("of-folder", "folder"), ("of-tar", "s-{0..0}.tar")]:
        encode_recipe(small_recipe(tmp_path, photos=tmp_path / photos, output=tmp_path / name, copies=2))
    assert shards_equal(tmp_path / "of-folder" / "0000.npz", tmp_path / "of-tar" / "0000.npz")
    assert list((tmp_path / "of-tar" / "tar-index").iterdir())


def test_an_autoencoder_of_diffusers_format_is_used_too(tmp_path: Path) -> None:
    published = write_published_autoencoder(tmp_path / "vae")
    recipe = small_recipe(tmp_path, autoencoder=published, shards=1)
    encode_recipe(recipe)
    manifest = read_manifest(recipe.output)
    assert manifest is not None
    assert manifest.autoencoder["scaling_factor"] == 0.18215
    assert LatentShards(recipe.output).batch(0, 0, 4).latents.shape == (4, 4, LATENT_SIDE, LATENT_SIDE)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 2}, "seed is 2 here and 1 there"),
        ({"least_crop": 0.5}, "least_crop is 0.5 here and 0.6 there"),
        ({"mode": "online"}, "mode is online here and cached there"),
    ],
)
def test_shards_of_other_settings_are_not_mixed(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    encode_recipe(small_recipe(tmp_path, shards=1))
    with pytest.raises(RecipeError, match=named):
        encode_recipe(small_recipe(tmp_path, **({"shards": 2} | changes)))


def test_shards_of_another_autoencoder_or_another_list_are_not_mixed(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, shards=1)
    encode_recipe(recipe)
    with recipe.photos.open("a") as file:
        file.write('\n{"image": "0.png", "prompt": "background"}')
    published = write_published_autoencoder(tmp_path / "vae")
    with pytest.raises(RecipeError, match="number of pictures is 9 here and 8 there; the autoencoder is"):
        encode_recipe(small_recipe(tmp_path, shards=1, autoencoder=published))


def test_shards_that_nobody_described_are_left_alone(tmp_path: Path, latents: Path) -> None:
    with pytest.raises(RecipeError, match=r"holds shards without a shards\.json"):
        encode_recipe(small_recipe(tmp_path, output=latents, shards=4))


def test_nothing_is_written_when_a_path_is_wrong(tmp_path: Path) -> None:
    for changes, reason in [
        ({"photos": tmp_path / "missing"}, "there is no .*missing: give a JSON-lines file"),
        ({"autoencoder": tmp_path / "missing"}, "there is no autoencoder in .*missing: give the folder"),
    ]:
        with pytest.raises(DataError, match=reason):
            encode_recipe(small_recipe(tmp_path, shards=1, **changes))
    assert not (tmp_path / "latents").exists()


def test_a_damaged_autoencoder_is_named(tmp_path: Path) -> None:
    published = write_published_autoencoder(tmp_path / "vae")
    (published / "config.json").write_text('{"block_out_channels": [8, 8]}')
    with pytest.raises(DataError, match=r"the autoencoder in .*vae can't be used"):
        frozen_autoencoder(published)


def test_several_processes_make_the_shards_that_one_would(tmp_path: Path) -> None:
    alone = small_recipe(tmp_path, output=tmp_path / "alone", copies=2)
    encode_recipe(alone)
    together = small_recipe(tmp_path, output=tmp_path / "together", copies=2)
    config = as_file(together, tmp_path / "recipe.yaml")
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    finished = subprocess.run(
        command(config, *torchrun), env=environment(), capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "process 2 of 2: shard 2 of 2" in finished.stdout
    for index in range(4):
        assert shards_equal(alone.output / f"{index:04d}.npz", together.output / f"{index:04d}.npz")
    assert (alone.output / "skipped.tsv").read_text() == (together.output / "skipped.tsv").read_text()
    one, other = read_manifest(alone.output), read_manifest(together.output)
    assert one is not None
    assert other is not None
    assert one.counts == other.counts is not None


def test_a_job_that_was_killed_goes_on_with_the_shards_that_are_missing(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, shards=400)
    config = as_file(recipe, tmp_path / "recipe.yaml")
    with subprocess.Popen(command(config), env=environment(), stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert any("shard 3 of 400" in line for line in job.stdout)
        job.kill()
    with pytest.raises(DataError, match="of 400 shards are missing"):
        LatentShards(recipe.output)
    kept = (recipe.output / "0002.npz").stat().st_mtime_ns
    made = len([path for path in recipe.output.glob("*.npz") if ".partial" not in path.name])
    less = small_recipe(tmp_path, shards=made + 2)
    encode_recipe(less)
    assert (recipe.output / "0002.npz").stat().st_mtime_ns == kept
    assert len(LatentShards(recipe.output)) == 4 * (made + 2)


def test_the_run_of_an_autoencoder_is_frozen(tmp_path: Path) -> None:
    network = frozen_autoencoder(write_autoencoder(tmp_path))
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
