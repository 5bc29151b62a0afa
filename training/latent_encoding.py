"""The `latents` job: training samples through the autoencoder into shards, once, by any number of processes.

Process r of n makes the shards r, r + n, ... and shares nothing with the others but the folder, so that a job can
stop and start again with another number of them. Shards that are there are kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from service.model.autoencoder import Autoencoder
from training.categories import FOREGROUND
from training.frozen_autoencoder import frozen_autoencoder, weights_digest
from training.latent_manifest import LatentCounts, LatentManifest, claim_folder, read_manifest, write_manifest
from training.latent_recipe import LatentRecipe, ShardPlan
from training.latents import mapped_arrays, shard_path
from training.masks import MaskSampler
from training.photos import load_cutouts
from training.picture_list import open_picture_list
from training.readable_pictures import SKIPPED_FILE, ReadablePictures, write_skipped
from training.samples import Sample, SampleShares, SampleSource, cell_mask

Encode = Callable[[Tensor], Tensor]


def sample_source(recipe: LatentRecipe) -> SampleSource:
    """The recipe's pictures and holes. Raises DataError when a path is missing, empty or wrong."""
    listed = open_picture_list(
        recipe.photos, masks=recipe.masks, prompt=recipe.prompt, index_folder=recipe.output / "tar-index"
    )
    return SampleSource(
        ReadablePictures(listed, shortest_side=recipe.shortest_side, cache=recipe.cache),
        recipe.side,
        MaskSampler(recipe.side),
        load_cutouts(recipe.cutouts) if recipe.cutouts else (),
        recipe.least_crop,
        SampleShares(object_hole=recipe.object_hole_probability, cutout=recipe.foreground_probability),
    )


def reader_threads() -> int:
    """Threads that read pictures and draw holes: this process's share of the machine's cores, at most 16."""
    return max(1, min(16, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def device_encoder(autoencoder: Autoencoder) -> Encode:
    """The autoencoder on this process's GPU, or on the CPU without one: pictures and latents are on the CPU."""
    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if has_gpu else torch.device("cpu")
    network = autoencoder.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(images: Tensor) -> Tensor:
        latents: Tensor = network.encode(images.to(device, memory_format=torch.channels_last))
        return latents.float().cpu()

    return encode


def encode_samples(
    samples: Iterable[Sample], encode: Encode, cell: int, chunk: int = 8
) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays of one shard: latents of the pictures, and of the pictures with the hole's cells set to mid-grey.

    `chunk` pictures are encoded at a time, while the samples that follow may be drawn by threads.
    """
    parts = []
    remaining = iter(samples)
    while drawn := list(islice(remaining, chunk)):
        parts.append(_encoded(drawn, encode, cell))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@torch.inference_mode()
def _encoded(samples: list[Sample], encode: Encode, cell: int) -> dict[str, npt.NDArray[np.generic]]:
    cells = np.stack([cell_mask(sample.hole, cell) for sample in samples])  # [B, h, w]
    pictures = np.stack([sample.picture for sample in samples]).astype(np.float32) / 127.5 - 1.0
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2)  # [B, 3, s, s]
    hole = torch.from_numpy(cells.repeat(cell, 1).repeat(cell, 2))[:, None]  # [B, 1, s, s]
    return {
        "latents": encode(images).half().numpy(),
        "masked_latents": encode(images.masked_fill(hole, 0.0)).half().numpy(),
        "mask": cells,
        "category": np.array([sample.category for sample in samples], np.int64),
    }


class ShardWriter:
    """Writes the shards of one process; `process` of `processes`."""

    def __init__(
        self,
        folder: Path,
        plan: ShardPlan,
        source: SampleSource,
        encode: Encode,
        *,
        cell: int,
        chunk: int = 8,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.folder, self.plan, self.source, self.encode = folder, plan, source, encode
        self.cell, self.chunk, self.process, self.processes = cell, chunk, process, processes

    def run(self) -> None:
        """Make every shard of this process that is not there."""
        mine = range(self.process, self.plan.shards, self.processes)
        missing = [index for index in mine if not shard_path(self.folder, index).exists()]
        started, samples = time.monotonic(), 0
        skipped: set[str] = set()
        with ThreadPoolExecutor(reader_threads()) as pool:
            for number, index in enumerate(missing, start=1):
                skipped |= self._write(index, pool)
                samples += self.plan.rows(index)
                rate = samples / (time.monotonic() - started)
                left = sum(map(self.plan.rows, missing[number:])) / rate
                print(
                    f"process {self.process + 1} of {self.processes}: shard {number} of {len(missing)}, "
                    f"{rate:.1f} pictures/s, {left / 60:.1f} minutes left, {len(skipped)} pictures skipped",
                    flush=True,
                )

    def _write(self, index: int, pool: ThreadPoolExecutor) -> set[str]:
        """Make one shard; the entries that were skipped. A sample is a function of the seed, the shard and its row."""

        def draw(row: int) -> Sample:
            rng = np.random.default_rng((self.plan.seed, index, row))
            return self.source.draw(rng, self.plan.picture(index, row))

        samples = pool.map(draw, range(self.plan.rows(index)))
        arrays = encode_samples(samples, self.encode, self.cell, self.chunk)
        skipped = sorted(self.source.pictures.take_skipped().items())
        table = np.array(skipped, np.str_).reshape(-1, 2)
        path = shard_path(self.folder, index)
        partial = path.with_suffix(".partial.npz")
        with partial.open("wb") as file:
            np.savez(file, skipped=table, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        return {entry for entry, _ in skipped}


def encode_recipe(recipe: LatentRecipe) -> None:
    """Run the job. Everything is opened and checked before the first picture is encoded.

    Latents that are finished need no pictures: these may be gone when a run of several stages goes on.
    Raises DataError for data that is missing or wrong, RecipeError when the folder holds latents made otherwise.
    """
    autoencoder = frozen_autoencoder(recipe.autoencoder)
    weights = weights_digest(autoencoder)
    if _are_finished(recipe, weights):
        print(f"{recipe.output}: the latents are finished; the pictures are not read again", flush=True)
        return
    source = sample_source(recipe)
    _tell_of_missing_objects(recipe, source)
    encode = device_encoder(autoencoder)
    plan = recipe.shard_plan(len(source.pictures)) if recipe.mode == "cached" else None
    manifest = _manifest(recipe, source, autoencoder, weights, encode, plan)
    claim_folder(recipe.output, manifest)
    if plan is None:
        print(f"{recipe.output}: latents of {manifest.pictures} pictures will be encoded while training")
        return
    ShardWriter(
        recipe.output,
        plan,
        source,
        encode,
        cell=autoencoder.config.downscale,
        chunk=recipe.encode_batch,
        process=int(os.environ.get("RANK", "0")),
        processes=int(os.environ.get("WORLD_SIZE", "1")),
    ).run()
    finish(recipe.output, manifest, plan)


def _are_finished(recipe: LatentRecipe, weights: str) -> bool:
    """Whether the folder has every shard that the recipe asks for, of an autoencoder of these weights."""
    known = read_manifest(recipe.output)
    if known is None or known.plan is None or not known.is_finished_for(recipe, weights):
        return False
    return all(shard_path(recipe.output, index).exists() for index in range(known.plan.shards))


def _tell_of_missing_objects(recipe: LatentRecipe, source: SampleSource) -> None:
    has_shapes = bool(source.cutouts or recipe.masks or len(source.pictures.foreground))
    if not has_shapes and recipe.object_hole_probability > 0 and os.environ.get("RANK", "0") == "0":
        print(
            f"{recipe.output}: no object-shaped holes will be drawn, for want of objects: to have them, give "
            "'cutouts', a folder of cut-out objects, or 'masks', a folder of the pictures' masks",
            flush=True,
        )


def _manifest(
    recipe: LatentRecipe,
    source: SampleSource,
    autoencoder: Autoencoder,
    weights: str,
    encode: Encode,
    plan: ShardPlan | None,
) -> LatentManifest:
    with torch.inference_mode():
        latents = encode(torch.zeros(1, 3, recipe.side, recipe.side))  # refuses a side that does not divide
    return LatentManifest(
        recipe=recipe,
        pictures=len(source.pictures),
        latent_side=latents.shape[-1],
        latent_channels=latents.shape[1],
        autoencoder=autoencoder.config.to_dict(),
        weights=weights,
        plan=plan,
    )


def finish(folder: Path, manifest: LatentManifest, plan: ShardPlan) -> None:
    """Count what the shards hold and list what was skipped, when the last shard is there; whoever made it does this.

    Nothing is done when another process has done it.
    """
    known = read_manifest(folder)
    if known is not None and known.plan == plan and known.counts is not None:
        return
    paths = [shard_path(folder, index) for index in range(plan.shards)]
    if not all(path.exists() for path in paths):
        print(f"{folder}: other processes still make their shards", flush=True)
        return
    skipped: dict[str, str] = {}
    foreground = 0
    for path in paths:
        arrays = mapped_arrays(path)
        foreground += int((arrays["category"] == FOREGROUND).sum())
        skipped |= {str(entry): str(reason) for entry, reason in arrays["skipped"]}
    write_skipped(folder / SKIPPED_FILE, skipped)
    counts = LatentCounts(background=plan.samples - foreground, foreground=foreground, skipped=len(skipped))
    write_manifest(folder, manifest.model_copy(update={"counts": counts}))
    print(
        f"{folder}: {plan.samples} samples of {manifest.pictures} pictures, {foreground} of them foreground; "
        f"{len(skipped)} pictures could not be used, listed in {folder / SKIPPED_FILE}",
        flush=True,
    )
