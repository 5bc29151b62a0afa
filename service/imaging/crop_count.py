"""How many crops a request will take: what an edge counts beforehand, by the plan that the worker will make.

Apart from the rest of a retouch, whose numerical libraries an edge never needs.
"""

from __future__ import annotations

from service.contracts import Params
from service.imaging.feather import soft_hole
from service.imaging.picture import Flags
from service.imaging.regions import Region, plan_regions


def crop_count(flags: Flags, params: Params, model_size: int) -> int:
    """How many tiles `retouch.prepare` will cut for a mask [H, W] with at least one set flag.

    The picture is not looked at: fully transparent pixels inside the hole may make it another number.
    """
    effective = soft_hole(flags, params.dilate, params.feather).flags((flags.shape[1], flags.shape[0]))
    return sum(len(region.crops) for region in planned_regions(effective, params, model_size))


def planned_regions(effective: Flags, params: Params, model_size: int) -> tuple[Region, ...]:
    """The regions of a mask [H, W] that has been grown and feathered, as the request asks for them."""
    return plan_regions(effective, model_size=model_size, strategy=params.strategy, context=params.context)
