"""Walks the inference form, a tree of dataclasses and tuples, and rebuilds it with other parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

Part = TypeVar("Part")


def rebuilt(part: Part, change: Callable[[Any], Any]) -> Part:
    """The part with `change` applied to all in it, from the outside inwards; what was changed is not looked into.

    `change` answers its argument where nothing is to change. The part given stays as it is.
    """
    changed: Part = change(part)
    if changed is not part:
        return changed
    if isinstance(part, tuple):
        parts = [rebuilt(one, change) for one in part]
        return type(part)(*parts) if hasattr(part, "_fields") else type(part)(parts)
    if is_dataclass(part) and not isinstance(part, type):
        return replace(
            part, **{field.name: rebuilt(getattr(part, field.name), change) for field in fields(part)}
        )
    return part
