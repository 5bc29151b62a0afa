"""Bringing a finished picture to pixels that another file format holds, with a note for everything that is
lost.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from service.contracts import Box
from service.imaging.color import base_of, converter_for
from service.imaging.compose import blended
from service.imaging.formats import FORMATS, GRAY_16
from service.imaging.native import colors_of
from service.imaging.picture import Bytes8, Picture

COLOR_KEY_FORMATS = frozenset({"PNG", "GIF"})
FLATTENED = "JPEG holds no transparency: the picture was laid over white."
NARROWED = "{name} holds no 16-bit gray: the picture was brought to 8 bits."
PROFILE_APPLIED = "{name} holds no {base} pixels with a profile: the picture was converted to sRGB."


def fitted(picture: Picture, name: str) -> Picture:
    """The picture with a mode that the format holds; itself where it already has one."""
    modes = FORMATS[name].modes
    if _holds(name, picture):
        return picture
    if picture.mode == GRAY_16 and GRAY_16 not in modes:
        picture = _narrowed(picture, name)
    if name == "JPEG":
        picture = _flattened(picture)
    if picture.mode == "1" and "L" in modes:
        return replace(picture, pixels=picture.pixels.astype(np.uint8) * 255, mode="L")
    return picture if _holds(name, picture) else _as_rgb(picture, name)


def _holds(name: str, picture: Picture) -> bool:
    """Whether files of the format hold the picture's mode and, if it has one, its transparent colour."""
    keyed = picture.metadata.transparency is not None
    return picture.mode in FORMATS[name].modes and (not keyed or name in COLOR_KEY_FORMATS)


def _narrowed(picture: Picture, name: str) -> Picture:
    """16-bit gray to 8 bits, rounded; a colour key can't survive that and is turned into alpha."""
    opacity = picture.opacity(_whole(picture))
    gray = ((picture.pixels.astype(np.uint32) * 255 + 32_767) // 65_535).astype(np.uint8)
    notes = (*picture.notes, NARROWED.format(name=name))
    if opacity is None:
        return replace(picture, pixels=gray, mode="L", notes=notes)
    metadata = replace(picture.metadata, transparency=None)
    return replace(picture, pixels=np.dstack([gray, opacity]), mode="LA", metadata=metadata, notes=notes)


def _flattened(picture: Picture) -> Picture:
    """Laid over white, without alpha."""
    opacity = picture.opacity(_whole(picture))
    if opacity is None:
        return picture
    colors = colors_of(picture, _whole(picture))
    flat: Bytes8 = blended(np.full_like(colors, 255), colors, opacity)
    metadata = replace(picture.metadata, transparency=None)
    notes = (*picture.notes, FLATTENED)
    if colors.shape[2] == 1:
        return replace(picture, pixels=flat[..., 0], mode="L", metadata=metadata, notes=notes)
    return replace(picture, pixels=flat, mode="RGB", palette=None, metadata=metadata, notes=notes)


def _as_rgb(picture: Picture, name: str) -> Picture:
    """RGB, or RGBA where there is transparency; a gray or CMYK profile is applied, an RGB one is kept."""
    whole = _whole(picture)
    opacity = picture.opacity(whole)
    converter, _ = converter_for(picture)
    base = base_of(picture.mode)
    colors = colors_of(picture, whole)
    rgb = colors if base == "RGB" else converter.to_srgb(colors)
    metadata, notes = replace(picture.metadata, transparency=None), picture.notes
    if base != "RGB" and metadata.icc is not None:
        metadata = replace(metadata, icc=None)
        notes = (*notes, PROFILE_APPLIED.format(name=name, base=base))
    if opacity is None:
        return replace(picture, pixels=rgb, mode="RGB", palette=None, metadata=metadata, notes=notes)
    pixels = np.dstack([rgb, opacity])
    return replace(picture, pixels=pixels, mode="RGBA", palette=None, metadata=metadata, notes=notes)


def _whole(picture: Picture) -> Box:
    return Box(0, 0, *picture.size)
