"""The parameters of a request, typed: those of the service's own schema, which a test compares."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal, TypedDict

MaskPolarity = Literal["white", "black", "transparent"]
Strategy = Literal["auto", "crop", "resize"]
Sampler = Literal["ddim", "dpm-solver++"]
OutputFormat = Literal["png", "jpeg", "webp"]
Priority = Literal["interactive", "batch"]


class Parameters(TypedDict, total=False):
    """What a request may say beside its two pictures; what is left out or None has the service's default.

    n: candidates, 1 to 10 (1); candidate i uses seed + i.
    model: a name of `models()`; default: the first.
    steps: denoising steps, 1 to 100; default: the model's.
    guidance_scale: 1 to 20; default: the model's. 1 turns guidance off.
    strength: 0.3 to 1 (1); below 1 the fill starts from what is in the hole.
    sampler: "dpm-solver++" needs fewer steps than "ddim", the default.
    seed: 0 to 4294967295; random if left out.
    mask_polarity: which pixels of the mask are filled: the white (default), the black or the transparent ones.
    strategy: "crop": crops around the hole at native resolution; "resize": the whole picture made smaller.
    context: pixels around a hole that the model sees, 0 to 4096; default: max(128, half the hole's side).
    dilate: pixels by which the hole is grown, 0 to 256; default: automatic.
    feather: pixels over which the fill blends in, 0 to 256; default: automatic.
    color_match: match the fill's tone to the ring around the hole (True).
    output_format: format of the answer; default: the image's own.
    quality: of JPEG and WebP, 1 to 100; default: the image's tables, or 95.
    keep_metadata: keep EXIF, XMP, a PNG's text, colour profile and density (True); without them RGB and gray pictures
        are converted to sRGB.
    priority: "interactive" (default), or "batch", which waits longer while others are interactive.
    timeout: seconds until the job expires, at most 86400.
    preview: every k-th step an event carries a small picture of the fill so far, 0 to 100 (0: none).
    effective_mask: the result also tells which pixels may have changed (False).
    """

    n: int | None
    model: str | None
    steps: int | None
    guidance_scale: float | None
    strength: float | None
    sampler: Sampler | None
    seed: int | None
    mask_polarity: MaskPolarity | None
    strategy: Strategy | None
    context: int | None
    dilate: int | None
    feather: int | None
    color_match: bool | None
    output_format: OutputFormat | None
    quality: int | None
    keep_metadata: bool | None
    priority: Priority | None
    timeout: float | None
    preview: int | None
    effective_mask: bool | None


NAMES = tuple(Parameters.__annotations__)


def given_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not None. Raises TypeError, as a misspelt keyword does, for a name that there is not; the
    service checks the values.
    """
    for name in parameters:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else "."
            raise TypeError(f"There is no parameter {name!r}{meant} Parameters: {', '.join(NAMES)}.")
    return {name: value for name, value in parameters.items() if value is not None}
