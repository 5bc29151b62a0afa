"""What a plan of crops is made of: one view for the model, and the crops that fill one hole."""

from __future__ import annotations

from dataclasses import dataclass

from service.contracts import Box

LATENT_CELL = 8  # pixels of a tile that one latent cell stands for


@dataclass(frozen=True, slots=True)
class Crop:
    """One view for the model. `box` lies inside the picture; where it is smaller than `side` x `side` the
    tile is padded. `core` is the part of the hole that is pasted from this crop.
    """

    box: Box
    core: Box
    side: int


@dataclass(frozen=True, slots=True)
class Region:
    """A hole, or several close ones, and the crops that fill it, in reading order; neighbours' cores
    overlap. A hole much larger than the model is then looked at once more, in `fine` tiles.
    """

    hole: Box
    crops: tuple[Crop, ...]
    fine: tuple[Crop, ...] = ()


@dataclass(frozen=True, slots=True)
class NoiseWindow:
    """Where a fine tile's noise lies in a field [rows, columns] of latent cells that all fine tiles of a hole share:
    its upper left cell. Overlapping tiles start from the same noise at the same place. `stream` is the hole's own.
    """

    stream: int
    rows: int
    columns: int
    top: int
    left: int
