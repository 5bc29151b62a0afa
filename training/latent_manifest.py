"""`shards.json`: what a folder of latents holds or makes, written before the first shard and read by training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from training.errors import DataError, RecipeError
from training.latent_recipe import LatentRecipe, ShardPlan

MANIFEST_FILE = "shards.json"
# Settings that shards of one folder need not share: where things lie, how fast they are made, and how many there are
# when samples are drawn and so do not depend on their number.
_FREE = {"photos", "cutouts", "masks", "autoencoder", "output", "cache", "encode_batch", "shards"}


class LatentCounts(BaseModel):
    """What became of the plan: samples by category, and pictures that could not be used."""

    background: int
    foreground: int
    skipped: int


class LatentManifest(BaseModel):
    """`autoencoder` is its configuration, scaling factor included; `weights` the SHA-256 of its weights.

    `plan` is None for latents that are encoded online. `counts` is there when the last shard is.
    """

    recipe: LatentRecipe
    pictures: int
    latent_side: int
    latent_channels: int
    autoencoder: dict[str, Any]
    weights: str
    plan: ShardPlan | None
    counts: LatentCounts | None = None

    def differences(self, other: LatentManifest) -> list[str]:
        """What keeps shards of the two from lying in one folder, in words."""
        mine, theirs = self._fixed(), other._fixed()
        return [
            f"{name} is {mine[name]} here and {theirs[name]} there"
            for name in mine
            if mine[name] != theirs[name]
        ]

    def is_finished_for(self, recipe: LatentRecipe, weights: str) -> bool:
        """Whether the last shard was made, and this recipe and autoencoder ask for the same ones."""
        return (
            self.counts is not None
            and self.weights == weights
            and self.recipe.shards == recipe.shards
            and _fixed_settings(self.recipe) == _fixed_settings(recipe)
        )

    def _fixed(self) -> dict[str, Any]:
        return _fixed_settings(self.recipe) | {
            "the number of pictures": self.pictures,
            "the autoencoder": self.weights[:12],
        }


def _fixed_settings(recipe: LatentRecipe) -> dict[str, Any]:
    return {name: value for name, value in vars(recipe).items() if name not in _FREE}


def read_manifest(folder: Path) -> LatentManifest | None:
    """The folder's manifest, None without one. Raises DataError for one that can't be read."""
    path = folder / MANIFEST_FILE
    try:
        return LatentManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise DataError(
            f"{path} is damaged, or another version wrote it: {error.errors()[0]['msg']}"
        ) from error


def write_manifest(folder: Path, manifest: LatentManifest) -> None:
    """Rename into its place: other processes may write the same, or read it, at this moment."""
    partial = folder / f"{MANIFEST_FILE}.{os.uname().nodename}-{os.getpid()}.partial"
    partial.write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    partial.replace(folder / MANIFEST_FILE)


def claim_folder(folder: Path, manifest: LatentManifest) -> None:
    """Write the manifest into a new folder, or check that the folder's shards were made by the same settings.

    Raises RecipeError, naming what differs, when they were not, or when nobody knows how they were made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = read_manifest(folder)
    if known is None and any(folder.glob("*.npz")):
        raise RecipeError(
            f"{folder} holds shards without a {MANIFEST_FILE}: choose another output, or delete them"
        )
    if known is not None and (differences := manifest.differences(known)):
        raise RecipeError(
            f"the latents in {folder} were made otherwise: {'; '.join(differences)}. "
            "Choose another output, or delete the folder to encode anew"
        )
    if known is None or known.plan != manifest.plan or known.recipe != manifest.recipe:
        write_manifest(folder, manifest)
