"""Where a training run gets its latents from: shards that were encoded once, or pictures encoded on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from training.errors import DataError
from training.latent_manifest import read_manifest
from training.latents import LatentBatch, LatentShards

_ALL = slice(None)


class LatentSource(Protocol):
    """Samples by step. `latent_side` and `latent_channels` are those of the autoencoder's latents."""

    latent_side: int
    latent_channels: int

    def __len__(self) -> int:
        """How many samples an epoch has."""

    def batch(self, seed: int, step: int, size: int, rows: slice = _ALL) -> LatentBatch:
        """Those of the `size` samples of a step that are in `rows`: a function of these numbers alone."""


def open_latents(folder: Path, *, latent_side: int, latent_channels: int = 4) -> LatentSource:
    """The latents that the `latents` job left in a folder, for a network that reads latents of this shape.

    Raises DataError when there are none, and when they are of another shape.
    """
    manifest = read_manifest(folder)
    source: LatentSource
    if manifest is not None and manifest.plan is None:
        from training.online_latents import OnlineLatents

        source = OnlineLatents(manifest.recipe, manifest)
    else:
        source = LatentShards(folder)
    found, wanted = (source.latent_channels, source.latent_side), (latent_channels, latent_side)
    if found != wanted:
        raise DataError(
            f"the latents in {folder} are {_shape(*found)}, the network reads {_shape(*wanted)}: encode pictures of "
            "another side, or with another autoencoder, by the `latents` job"
        )
    return source


def _shape(channels: int, side: int) -> str:
    return f"{channels} channels of {side} x {side}"
