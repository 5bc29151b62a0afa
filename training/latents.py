"""Latents as training reads them, from shards on disk: a step's batch is a function of (seed, step) alone."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.errors import DataError
from training.latent_manifest import read_manifest
from training.latent_recipe import epoch_order

# Shards mapped at a time; each holds one file descriptor.
_MAPPED = 256
_LOCAL_HEADER = 30  # bytes of a zip member's own header before its name
_ALL = slice(None)


@dataclass(frozen=True)
class LatentBatch:
    """`latents`, `masked_latents` [B, 4, h, w]; `mask` [B, 1, h, w], 1 = fill; `category` [B]."""

    latents: Tensor
    masked_latents: Tensor
    mask: Tensor
    category: Tensor

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[np.generic]]) -> LatentBatch:
        """From the arrays of a shard, or of some of its rows; `mask` is [B, h, w] there."""
        return cls(
            torch.from_numpy(arrays["latents"].astype(np.float32)),
            torch.from_numpy(arrays["masked_latents"].astype(np.float32)),
            torch.from_numpy(arrays["mask"].astype(np.float32))[:, None],
            torch.from_numpy(arrays["category"].astype(np.int64)),
        )


NAMES = ("latents", "masked_latents", "mask", "category")


def shard_path(folder: Path, index: int) -> Path:
    """The file of one shard."""
    return folder / f"{index:04d}.npz"


class LatentShards:
    """The shards of a folder, mapped and not loaded: only the rows of a batch are read. An epoch is a permutation of
    all samples.

    Raises DataError for a folder without shards, and for one whose encoding did not come to its end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = _shards_of(folder)
        self._mapped = lru_cache(_MAPPED)(mapped_arrays)
        lengths = [len(self._mapped(path)["category"]) for path in self.paths]
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.latent_channels, self.latent_side, _ = map(int, self._mapped(self.paths[0])["latents"].shape[1:])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def batch(self, seed: int, step: int, size: int, rows: slice = _ALL) -> LatentBatch:
        """The samples of one step, of its `size` those in `rows`: a process of many reads its own only."""
        per_epoch = len(self) // size
        if per_epoch == 0:
            raise DataError(
                f"{self.folder} has {len(self)} samples, fewer than a batch of {size}: encode more"
            )
        order = epoch_order(len(self), seed, step // per_epoch)
        return self._samples(order[step % per_epoch * size :][:size][rows])

    def _samples(self, indices: npt.NDArray[np.int64]) -> LatentBatch:
        shards = np.searchsorted(self.starts, indices, side="right") - 1
        places = [
            (self._mapped(self.paths[shard]), row)
            for shard, row in zip(shards, indices - self.starts[shards], strict=True)
        ]
        return LatentBatch.from_arrays(
            {name: np.stack([arrays[name][row] for arrays, row in places]) for name in NAMES}
        )


def _shards_of(folder: Path) -> list[Path]:
    manifest = read_manifest(folder)
    if manifest is not None and manifest.plan is not None:
        paths = [shard_path(folder, index) for index in range(manifest.plan.shards)]
        missing = [path.name for path in paths if not path.exists()]
        if missing:
            raise DataError(
                f"{len(missing)} of {len(paths)} shards are missing in {folder} ({missing[0]} is the first): "
                "let the `latents` job come to its end; it keeps those that are there"
            )
        return paths
    found = sorted(path for path in folder.glob("*.npz") if ".partial" not in path.name)
    if not found:
        raise DataError(f"no shards in {folder}: run the `latents` job first")
    return found


def mapped_arrays(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of an uncompressed .npz by name, mapped into memory: `numpy.load` maps .npy files only.

    Raises DataError for a file that is cut off, damaged or compressed.
    """
    try:
        whole = np.memmap(path, np.uint8, "r")
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            return {
                member.filename.removesuffix(".npy"): _mapped(whole, archive, member) for member in members
            }
    except (zipfile.BadZipFile, ValueError, TypeError) as error:
        raise DataError(
            f"the shard {path} is damaged ({error}): delete it and run the `latents` job again"
        ) from error


def _mapped(
    whole: npt.NDArray[np.uint8], archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> npt.NDArray[np.generic]:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    with archive.open(member) as file:
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[np.lib.format.read_magic(file)]
        shape, is_fortran, dtype = read_header(file)
        header = file.tell()
    lengths = whole[member.header_offset + 26 : member.header_offset + _LOCAL_HEADER].tobytes()
    start = member.header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", lengths)) + header
    return np.ndarray(shape, dtype, whole, start, order="F" if is_fortran else "C")
