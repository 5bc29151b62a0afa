"""Cutting crops for the model: sRGB, padded by edge replication, made smaller by area, never stretched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse

from service.imaging.color import ColorConverter
from service.imaging.native import colors_of
from service.imaging.picture import Bytes8, Flags, Picture
from service.imaging.regions import Crop

LATENT_CELL = 8

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TileCrop:
    """`image` [3, s, s] in [-1, 1] and `mask` [s, s], 1 = fill, as the model gets them; `known` [s, s] flags
    what is photo: neither hole nor padding.
    """

    image: Floats
    mask: Floats
    known: Flags


def cut_tile(
    picture: Picture, converter: ColorConverter, effective: Flags, crop: Crop, model_size: int
) -> TileCrop:
    """The tile of one crop. `effective` is the effective mask [H, W].

    The hole is widened to whole latent cells (any pixel of 8 x 8), for the model alone.
    """
    box = crop.box
    srgb = converter.to_srgb(colors_of(picture, box))  # [h, w, 3]
    opacity = picture.opacity(box)
    if opacity is not None:
        srgb = _behind_clear(srgb, opacity)
    hole = effective[box.top : box.bottom, box.left : box.right]
    small = area_downscaled(_padded(srgb, crop.side), model_size)  # [s, s, 3]
    holes = area_downscaled(_padded(hole[..., None].astype(np.uint8), crop.side), model_size)[..., 0] > 0
    cells = holes.reshape(model_size // LATENT_CELL, LATENT_CELL, -1, LATENT_CELL).any(axis=(1, 3))
    mask = cells.repeat(LATENT_CELL, axis=0).repeat(LATENT_CELL, axis=1)
    known = ~mask
    known[-(-box.height * model_size // crop.side) :] = False
    known[:, -(-box.width * model_size // crop.side) :] = False
    image = np.ascontiguousarray(np.moveaxis(small / 127.5 - 1, 2, 0), dtype=np.float32)  # [3, s, s]
    return TileCrop(image, mask.astype(np.float32), known)


def area_downscaled(pixels: Bytes8, size: int) -> Floats:
    """[n, n, C] -> [size, size, C], each value the mean over the exact area that it covers; n >= size."""
    if pixels.shape[0] == size:
        return pixels.astype(np.float32)
    weights = _coverage(pixels.shape[0], size)  # [size, n]
    channels = [
        (weights @ (weights @ pixels[..., channel].astype(np.float32)).T).T
        for channel in range(pixels.shape[2])
    ]
    return np.stack(channels, axis=2)


def _coverage(length: int, size: int) -> sparse.csr_array:
    """Row i holds the share of each of `length` pixels in the i-th of `size` equal intervals."""
    scale = length / size
    edges = np.union1d(np.arange(length + 1), np.arange(size + 1) * scale)
    middles = (edges[1:] + edges[:-1]) / 2
    rows = np.minimum(middles // scale, size - 1).astype(int)
    shares = (np.diff(edges) / scale).astype(np.float32)
    columns = np.minimum(middles.astype(int), length - 1)
    return sparse.csr_array((shares, (rows, columns)), shape=(size, length))


def _padded(pixels: Bytes8, side: int) -> Bytes8:
    """Edge pixels repeated to the right and below up to `side` x `side`."""
    height, width = pixels.shape[:2]
    if height == width == side:
        return pixels
    return np.pad(pixels, ((0, side - height), (0, side - width), (0, 0)), mode="edge")


def _behind_clear(srgb: Bytes8, opacity: Bytes8) -> Bytes8:
    """Fully transparent pixels, whose colour means nothing, take that of the nearest visible one."""
    clear = opacity == 0
    if not clear.any() or clear.all():
        return srgb
    nearest = ndimage.distance_transform_edt(clear, return_distances=False, return_indices=True)
    colored: Bytes8 = srgb[nearest[0], nearest[1]]
    return colored
