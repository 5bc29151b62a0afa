"""Fits the map from latents to colours that previews are made with: least squares, over the cells of pictures.

Of an autoencoder at export, on patterns made here; scripts/fit_latent_colors.py fits a stored model on photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from service.artifacts import LatentColors
from service.denoising import Array
from service.latent_windows import latent_windows, without_border

KERNEL = 5  # cells: an autoencoder spreads a cell's colour over its neighbours
PATTERNS = 4
CHROMA = 0.35  # of the patterns' lightness: photographs have less of it
CONTRAST = 0.45

Doubles = npt.NDArray[np.float64]
Encode = Callable[[Array], Array]  # images [N, 3, s, s] in [-1, 1] -> latents [N, C, h, w]


def fit_latent_colors(encode: Encode, pictures: Iterable[Array], kernel: int = KERNEL) -> LatentColors:
    """The map from windows of `kernel` x `kernel` cells with the least squared error over the cells of pictures
    [3, s, s] in [-1, 1].

    Without the outermost cells (latent_windows.py). By the normal equations, picture by picture: all cells of a few
    thousand photographs would not fit into memory.
    """
    columns: Doubles | None = None
    wanted: Doubles | None = None
    for picture in pictures:
        windows, colors = _cells(encode, picture, kernel)
        with_bias = np.column_stack([windows, np.ones(len(windows))])  # [N, C * kernel ** 2 + 1]
        products, targets = with_bias.T @ with_bias, with_bias.T @ colors
        columns = products if columns is None else columns + products
        wanted = targets if wanted is None else wanted + targets
    if columns is None or wanted is None:
        raise ValueError("a map is fitted on one picture at least")
    solution, *_ = np.linalg.lstsq(columns, wanted, rcond=None)  # [C * kernel ** 2 + 1, 3]
    rounded = np.round(solution.T, 5)
    red, green, blue = rounded[:, -1].tolist()
    matrix = tuple(tuple(row) for row in rounded[:, :-1].tolist())
    return LatentColors(kernel=kernel, matrix=matrix, bias=(red, green, blue))


def unexplained_share(colors: LatentColors, encode: Encode, pictures: Iterable[Array]) -> float:
    """The part of the variance of the inner cells' colours that the map misses: 0 is exact, 1 no better than their
    mean.
    """
    windows, wanted = map(
        np.concatenate, zip(*(_cells(encode, picture, colors.kernel) for picture in pictures), strict=True)
    )
    told = windows @ np.array(colors.matrix).T + np.array(colors.bias)
    return float(np.square(told - wanted).sum() / np.square(wanted - wanted.mean(axis=0)).sum())


def patterns(size: int, count: int = PATTERNS) -> Iterator[Array]:
    """Pictures [3, size, size] in [-1, 1] that stand in for photographs: smooth noise whose power falls with the square
    of the frequency, as that of photographs does, each with a lightness and a tint of its own. Always the same ones.
    """
    generator = np.random.default_rng(0)
    for _ in range(count):
        lightness, *tints = (_smooth_noise(generator, size) for _ in range(3))
        mean = generator.uniform(-0.5, 0.5)
        red, blue = (mean + CONTRAST * (lightness + CHROMA * tint) for tint in tints)
        green = mean + CONTRAST * (lightness - CHROMA * (tints[0] + tints[1]) / 2)
        yield np.clip(np.stack([red, green, blue]), -1, 1).astype(np.float32)


def _smooth_noise(generator: np.random.Generator, size: int) -> Array:
    """Noise [size, size] of mean 0 and deviation 1 with amplitudes of 1 / frequency."""
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(generator.standard_normal((size, size))) / frequency
    noise = np.fft.irfft2(spectrum, s=(size, size))
    smooth: Array = (noise / noise.std()).astype(np.float32)
    return smooth


def _cells(encode: Encode, picture: Array, kernel: int) -> tuple[Doubles, Doubles]:
    """The windows of latents [N, C * kernel ** 2] around a picture's inner cells, and their mean colours [N, 3]."""
    latents = encode(picture[None])[0]  # [C, h, w]
    side = latents.shape[1]
    cell = picture.shape[1] // side
    means = picture.reshape(3, side, cell, side, cell).mean(axis=(2, 4), dtype=np.float64)  # [3, h, w]
    windows = latent_windows(latents, kernel).astype(np.float64)
    inner_windows, inner_means = map(without_border, (windows, means))
    return inner_windows.reshape(len(windows), -1).T, inner_means.reshape(3, -1).T
