"""Latents encoded while training, without a cache: fresh crops and holes every epoch, at the autoencoder's cost."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from service.model.autoencoder import Autoencoder
from training.errors import DataError
from training.frozen_autoencoder import frozen_autoencoder, weights_digest
from training.latent_encoding import device_encoder, encode_samples, reader_threads, sample_source
from training.latent_manifest import LatentManifest
from training.latent_recipe import LatentRecipe, epoch_order
from training.latents import LatentBatch
from training.readable_pictures import SKIPPED_FILE, write_skipped
from training.samples import Sample

_ALL = slice(None)


class _Key(NamedTuple):
    """Which samples: the arguments of `batch`."""

    seed: int
    step: int
    size: int
    rows: range


class OnlineLatents:
    """Draws and encodes a step's samples; those of the step that follows are drawn meanwhile, by threads.

    An epoch is a permutation of all pictures. A sample is a function of the seed, its step and its row, so that a
    run can resume, and so that several processes together draw what one would.
    """

    def __init__(self, recipe: LatentRecipe, manifest: LatentManifest) -> None:
        autoencoder = frozen_autoencoder(recipe.autoencoder)
        _refuse_other_weights(recipe, autoencoder, manifest)
        self.source = sample_source(recipe)
        self.latent_side, self.latent_channels = manifest.latent_side, manifest.latent_channels
        self.recipe, self.cell = recipe, autoencoder.config.downscale
        self.encode = device_encoder(autoencoder)
        self.pool = ThreadPoolExecutor(reader_threads())
        self._ahead: dict[_Key, list[Future[Sample]]] = {}
        self._skipped: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.source.pictures)

    def batch(self, seed: int, step: int, size: int, rows: slice = _ALL) -> LatentBatch:
        """The samples of one step, of its `size` those in `rows`: a process of many draws its own only."""
        key = _Key(seed, step, size, range(*rows.indices(size)))
        following = key._replace(step=step + 1)
        drawing = self._ahead.pop(key, None) or self._start(key)
        self._ahead = {other: draws for other, draws in self._ahead.items() if other.step >= step}
        self._ahead[following] = self._start(following)
        samples = (future.result() for future in drawing)
        arrays = encode_samples(samples, self.encode, self.cell, self.recipe.encode_batch)
        self._list_skipped()
        return LatentBatch.from_arrays(arrays)

    def _start(self, key: _Key) -> list[Future[Sample]]:
        """Let the threads draw these samples."""
        return [self.pool.submit(self._draw, key, row) for row in key.rows]

    def _draw(self, key: _Key, row: int) -> Sample:
        epoch, place = divmod(key.step * key.size + row, len(self))
        picture = int(epoch_order(len(self), key.seed, epoch)[place])
        return self.source.draw(np.random.default_rng((key.seed, key.step, row)), picture)

    def _list_skipped(self) -> None:
        """Keep the list of this process up to date; a resumed run finds the same pictures bad again."""
        found = self.source.pictures.take_skipped()
        if found.keys() <= self._skipped.keys():
            return
        self._skipped |= found
        path = skipped_path(self.recipe.output)
        write_skipped(path, self._skipped)
        print(f"{len(self._skipped)} pictures could not be used so far, listed in {path}", flush=True)


def skipped_path(folder: Path) -> Path:
    """The list of this process, with its number in the name unless it is the first."""
    rank = int(os.environ.get("RANK", "0"))
    return folder / (SKIPPED_FILE if rank == 0 else f"skipped-{rank}.tsv")


def _refuse_other_weights(recipe: LatentRecipe, autoencoder: Autoencoder, manifest: LatentManifest) -> None:
    if weights_digest(autoencoder) != manifest.weights:
        raise DataError(
            f"the autoencoder in {recipe.autoencoder} has changed since the latents of {recipe.output} were set up: "
            "run the `latents` job with another output"
        )
