"""How many crops a request will take: what an edge counts beforehand, by the plan that the worker will make.

Apart from the rest of a retouch, whose numerical libraries an edge never needs.
"""

from __future__ import annotations

from service.contracts import Params
from service.imaging.crops import Region
from service.imaging.feather import soft_hole
from service.imaging.picture import Flags
from service.imaging.regions import plan_regions


def crop_count(flags: Flags, params: Params, model_size: int) -> int:
    """How many tiles the model will see for a mask [H, W] with at least one set flag, fine ones included.

    The picture is not looked at: fully transparent pixels inside the hole may make it another number.
    """
    effective = soft_hole(flags, params.dilate, params.feather).flags((flags.shape[1], flags.shape[0]))
    regions = planned_regions(effective, params, model_size)
    return sum(len(region.crops) + len(region.fine) for region in regions)


def planned_regions(effective: Flags, params: Params, model_size: int) -> tuple[Region, ...]:
    """The regions of a mask [H, W] that has been grown and feathered, as the request asks for them."""
    return plan_regions(effective, model_size=model_size, strategy=params.strategy, context=params.context)
