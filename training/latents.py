"""Latents of training samples, encoded once into shards so that the autoencoder costs nothing per step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.checkpoints import averaged_autoencoder
from training.masks import MaskSampler
from training.photos import CropSampler, load_cutouts, load_photos
from training.samples import Sample, SampleSource, cell_mask


@dataclass(frozen=True)
class LatentRecipe:
    """Settings of the encode-once job (recipes/nano.yaml). `autoencoder` is the folder of its training run."""

    photos: Path
    cutouts: Path
    autoencoder: Path
    output: Path
    shards: int
    size: int = 256
    side: int = 256
    seed: int = 1


def encode_recipe(recipe: LatentRecipe) -> None:
    """Run the job."""
    autoencoder = averaged_autoencoder(recipe.autoencoder).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = SampleSource(
        CropSampler(load_photos(recipe.photos), recipe.side, least=0.6),
        MaskSampler(recipe.side),
        load_cutouts(recipe.cutouts),
    )
    cell = autoencoder.config.downscale
    write_shards(
        recipe.output,
        source,
        autoencoder.encode,
        cell=cell,
        shards=recipe.shards,
        size=recipe.size,
        seed=recipe.seed,
    )


@dataclass(frozen=True)
class LatentBatch:
    """`latents`, `masked_latents` [B, 4, h, w]; `mask` [B, 1, h, w], 1 = fill; `category` [B]."""

    latents: Tensor
    masked_latents: Tensor
    mask: Tensor
    category: Tensor


def encode_samples(
    samples: list[Sample], encode: Callable[[Tensor], Tensor], cell: int
) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays of one shard: latents of the pictures, and of the pictures with the hole's cells set to mid-grey."""
    cells = np.stack([cell_mask(sample.hole, cell) for sample in samples])  # [N, h, w]
    pictures = np.stack([sample.picture for sample in samples]).astype(np.float32) / 127.5 - 1.0
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2)  # [N, 3, s, s]
    hole = torch.from_numpy(cells.repeat(cell, 1).repeat(cell, 2))[:, None]  # [N, 1, s, s]
    with torch.inference_mode():
        whole = [encode(part) for part in torch.split(images, 8)]
        masked = [encode(part) for part in torch.split(images.masked_fill(hole, 0.0), 8)]
    return {
        "latents": torch.cat(whole).half().numpy(),
        "masked_latents": torch.cat(masked).half().numpy(),
        "mask": cells,
        "category": np.array([sample.category for sample in samples], np.int64),
    }


def write_shards(
    folder: Path,
    source: SampleSource,
    encode: Callable[[Tensor], Tensor],
    *,
    cell: int,
    shards: int,
    size: int,
    seed: int,
) -> None:
    """Encode `shards` files of `size` samples; those that are already there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(shards):
        path = folder / f"{index:04d}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng((seed, index))
        arrays = encode_samples([source.draw(rng) for _ in range(size)], encode, cell)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **arrays)  # type: ignore[arg-type]
        partial.replace(path)
        print(f"shard {index + 1} of {shards}", flush=True)


class LatentShards:
    """All shards of a folder in memory; a batch is a function of (seed, step) alone, so that a run can resume."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(p for p in folder.glob("*.npz") if ".partial" not in p.name)
        if not paths:
            raise FileNotFoundError(f"no shards in {folder}: run the `latents` job first")
        loaded = [np.load(path) for path in paths]
        self.arrays = {name: np.concatenate([part[name] for part in loaded]) for name in loaded[0].files}

    def __len__(self) -> int:
        return len(self.arrays["category"])

    def batch(self, seed: int, step: int, size: int) -> LatentBatch:
        """The samples of one step: epochs are permutations of all samples."""
        per_epoch = len(self) // size
        order = np.random.default_rng((seed, step // per_epoch)).permutation(len(self))
        chosen = order[step % per_epoch * size :][:size]
        return LatentBatch(
            torch.from_numpy(self.arrays["latents"][chosen].astype(np.float32)),
            torch.from_numpy(self.arrays["masked_latents"][chosen].astype(np.float32)),
            torch.from_numpy(self.arrays["mask"][chosen].astype(np.float32))[:, None],
            torch.from_numpy(self.arrays["category"][chosen]),
        )
