"""A picture with nothing beside its pixels: no EXIF, no XMP, no text, and no profile, so its colours are made sRGB."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from service.contracts import Box
from service.imaging.color import ColorConverter, converter_for
from service.imaging.formats import GRAY_16
from service.imaging.native import colors_of
from service.imaging.picture import Picture, Pixels
from service.imaging.tiles import strips

CONVERTED = "The picture was converted from its colour profile to sRGB, as no metadata was to be kept."
KEPT = "The colour profile was kept: without it {mode} pixels of this picture would show other colours."


def bare(picture: Picture) -> Picture:
    """The picture without metadata. An RGB or gray profile is applied, everywhere in the picture, unless it is that of
    sRGB; where that can't be done (CMYK, 16 bits, a transparent colour) it stays, and a note says so.
    """
    icc = picture.metadata.icc
    metadata = replace(picture.metadata, icc=None, exif=None, xmp=None, texts=(), density=None, comment=None)
    emptied = replace(picture, metadata=metadata)
    if icc is None or picture.mode == "1":
        return emptied
    if picture.mode in ("CMYK", GRAY_16) or metadata.transparency is not None:
        note = KEPT.format(mode=picture.mode)
        return replace(emptied, metadata=replace(metadata, icc=icc), notes=(*picture.notes, note))
    converter, _ = converter_for(picture)
    if converter.forward is None or _is_srgb(converter):
        return emptied
    return replace(_converted(picture, converter), metadata=metadata, notes=(*picture.notes, CONVERTED))


def _is_srgb(converter: ColorConverter) -> bool:
    """Whether no colour of a lattice moves by more than one level."""
    if converter.base == "L":
        lattice = np.arange(256, dtype=np.uint8).reshape(1, 256, 1)
    else:
        levels = np.linspace(0, 255, 9).round().astype(np.uint8)
        lattice = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3)
    moved = converter.to_srgb(lattice).astype(int) - lattice
    return bool(np.abs(moved).max() <= 1)


def _converted(picture: Picture, converter: ColorConverter) -> Picture:
    """The colours in sRGB, alpha as it is."""
    if picture.palette is not None:
        palette = picture.palette.copy()
        palette[:, :3] = converter.to_srgb(palette[None, :, :3])[0]
        return replace(picture, palette=palette)
    pixels = picture.pixels.copy()
    for part in strips(Box(0, 0, *picture.size)):
        srgb: Pixels = converter.to_srgb(colors_of(picture, part))  # [h, w, 3]
        rows = pixels[part.top : part.bottom]
        if picture.mode == "L":
            rows[:] = srgb[..., 1]
        elif picture.mode == "LA":
            rows[..., 0] = srgb[..., 1]
        else:
            rows[..., :3] = srgb
    return replace(picture, pixels=pixels)
