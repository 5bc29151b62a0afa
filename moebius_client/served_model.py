"""A model that the service has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that at least one worker has loaded.

    `image_size`: side of the square that the network sees, in pixels. `sha256`: of its manifest. `default_steps` and
    `guidance_scale`: of a request that names none. `allowed_steps`: the only `steps` that a few-step model takes, which
    has a fixed `guidance_scale`, too; None: any.
    """

    name: str
    image_size: int
    backend: str
    device: str
    precision: str
    sha256: str
    default_steps: int
    allowed_steps: tuple[int, ...] | None
    guidance_scale: float
