"""Settings of a recipe's `latents` section, and which picture is which sample of which shard."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.errors import RecipeError


@dataclass(frozen=True)
class LatentRecipe:
    """What latents are made from, and how.

    `photos` is a JSON-lines list, a folder or WebDataset shards; `masks` and `prompt` go with a folder.
    `autoencoder` is the folder of a training run, or of an `AutoencoderKL` in diffusers' format. `cached` encodes
    now: `shards` files of `size` samples of any pictures, or so many that each picture comes `copies` times, every
    time with another crop and hole. `online` encodes while training, and writes down the settings only.
    `object_hole_probability` and `foreground_probability` are shares of background pictures (samples.SampleShares).
    """

    photos: Path
    autoencoder: Path
    output: Path
    cutouts: Path | None = None
    masks: Path | None = None
    prompt: Literal["background", "foreground"] = "background"
    mode: Literal["cached", "online"] = "cached"
    shards: int = 0
    copies: int = 0
    size: int = 256
    side: int = 256
    seed: int = 1
    least_crop: float = 0.6
    object_hole_probability: float = 0.25
    foreground_probability: float = 0.15
    shortest_side: int = 64
    cache: bool = False
    encode_batch: int = 8

    def __post_init__(self) -> None:
        if self.mode == "cached" and (self.shards > 0) == (self.copies > 0):
            raise RecipeError(
                "give either 'shards' or 'copies', a number above 0, for latents that are cached"
            )
        for name in ("size", "side", "shortest_side", "encode_batch"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} must be at least 1, not {getattr(self, name)}")
        if min(self.shards, self.copies, self.seed) < 0:
            raise RecipeError("shards, copies and seed must be 0 or more")
        if not 0 < self.least_crop <= 1:
            raise RecipeError(f"least_crop must be above 0 and at most 1, not {self.least_crop}")
        shares = self.object_hole_probability, self.foreground_probability
        if min(shares) < 0 or sum(shares) > 1:
            raise RecipeError(
                "object_hole_probability and foreground_probability must be 0 or more, and at most 1 together, "
                f"not {shares[0]} and {shares[1]}"
            )

    def shard_plan(self, pictures: int) -> ShardPlan:
        """The plan for a list of so many pictures."""
        if self.copies:
            shards = math.ceil(pictures * self.copies / self.size)
            return ShardPlan(shards, self.size, pictures * self.copies, self.seed, pictures)
        return ShardPlan(self.shards, self.size, self.shards * self.size, self.seed)


@lru_cache(maxsize=4)
def epoch_order(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """A permutation of `count` samples or pictures; the last few are kept, because every step asks for its epoch's."""
    order = np.random.default_rng((seed, epoch)).permutation(count)
    order.setflags(write=False)
    return order


@dataclass(frozen=True)
class ShardPlan:
    """`shards` files of `size` samples, the last one shorter when `samples` asks for it. With `pictures`, every
    picture comes once before any comes again; without, a sample's picture is drawn.
    """

    shards: int
    size: int
    samples: int
    seed: int
    pictures: int | None = field(default=None)

    def rows(self, shard: int) -> int:
        """How many samples the shard has."""
        return min(self.size, self.samples - shard * self.size)

    def picture(self, shard: int, row: int) -> int | None:
        """The index of the sample's picture, None for any."""
        if self.pictures is None:
            return None
        copy, place = divmod(shard * self.size + row, self.pictures)
        return int(epoch_order(self.pictures, self.seed, copy)[place])
