"""How overlapping crops of one region share it: the later one fades in over the earlier, over their overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.contracts import Box
from service.imaging.crops import Crop, Region
from service.imaging.picture import Bytes8


@dataclass(frozen=True, slots=True)
class Fade:
    """Weight of a crop over those before it: `down` [h] times `across` [w] of its core, ramps over the
    overlap with its upper and left neighbour.
    """

    core: Box
    down: npt.NDArray[np.float64]
    across: npt.NDArray[np.float64]

    @classmethod
    def of(cls, crop: Crop, region: Region) -> Fade:
        """Of a crop of the region."""
        core = crop.core
        down = _ramp(core.top, core.bottom, _reach(crop, region, horizontal=False))
        return cls(core, down, _ramp(core.left, core.right, _reach(crop, region, horizontal=True)))

    def rows(self, part: Box) -> Bytes8:
        """The weights [h, w] of a strip of the core, 255 = this crop alone."""
        down = self.down[part.top - self.core.top : part.bottom - self.core.top]
        return np.rint(255 * down[:, None] * self.across[None, :]).astype(np.uint8)


def _reach(crop: Crop, region: Region, *, horizontal: bool) -> int:
    """Where the core of the neighbour before this crop ends, along one axis; the crop's own start without
    one.
    """
    if horizontal:
        start = crop.core.left
        ends = [c.core.right for c in region.crops if c.core.top == crop.core.top and c.core.left < start]
    else:
        start = crop.core.top
        ends = [c.core.bottom for c in region.crops if c.core.left == crop.core.left and c.core.top < start]
    return max([start, *ends])


def _ramp(start: int, end: int, reach: int) -> npt.NDArray[np.float64]:
    """Weights of pixels start..end - 1: rising from 0 to 1 at `reach`, then 1."""
    positions = np.arange(start, end) + 0.5 - start
    return np.clip(positions / (reach - start), 0, 1) if reach > start else np.ones(end - start)
