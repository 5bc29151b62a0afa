"""The map from latents to colours: found where there is one, and the nearest where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from service.denoising import Array
from service.model.latent_colors import fit_latent_colors, patterns, unexplained_share

CELL = 8
MIXED = np.array([[0.5, 0.2, -0.3, 0.1], [0.1, 0.7, 0.2, 0.4], [-0.2, 0.3, 0.6, 0.5]])
BIAS = np.array([0.1, -0.2, 0.05])


def means_of(images: Array) -> Array:
    count, _, size, _ = images.shape
    side = size // CELL
    means: Array = images.reshape(count, 3, side, CELL, side, CELL).mean(axis=(3, 5))
    return means


def mixing_encoder(images: Array) -> Array:
    """Latents of which the colours are MIXED times them, and BIAS."""
    colors = means_of(images) - BIAS[:, None, None]
    latents: Array = np.einsum("cr,nrhw->nchw", np.linalg.pinv(MIXED), colors).astype(np.float32)
    return latents


def test_a_linear_code_is_read_exactly() -> None:
    colors = fit_latent_colors(mixing_encoder, patterns(128))
    assert unexplained_share(colors, mixing_encoder, patterns(128, count=2)) < 1e-6


def test_of_a_code_with_noise_the_nearest_map_is_found() -> None:
    generator = np.random.default_rng(0)

    def noisy(images: Array) -> Array:
        latents = mixing_encoder(images)
        noise: Array = latents + generator.normal(0, 0.1, latents.shape).astype(np.float32)
        return noise

    colors = fit_latent_colors(noisy, patterns(128))
    assert 0.0 < unexplained_share(colors, mixing_encoder, patterns(128)) < 0.1


def test_the_patterns_are_always_the_same_pictures() -> None:
    first, again = list(patterns(32)), list(patterns(32))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert all(picture.shape == (3, 32, 32) for picture in first)
    assert max(np.abs(picture).max() for picture in first) == pytest.approx(1.0, abs=0.5)


def test_a_code_that_spreads_a_colour_over_its_neighbours_is_read_from_a_window_of_cells() -> None:
    def spreading(images: Array) -> Array:
        latents = mixing_encoder(images)
        moved: Array = latents + 0.5 * np.roll(latents, 1, axis=3) - 0.4 * np.roll(latents, -1, axis=2)
        return moved

    by_one, by_window = (fit_latent_colors(spreading, patterns(128), kernel) for kernel in (1, 5))
    missed_by_one, missed = (
        unexplained_share(one, spreading, patterns(256, count=2)) for one in (by_one, by_window)
    )
    assert missed < missed_by_one / 4


def test_without_pictures_there_is_no_map() -> None:
    with pytest.raises(ValueError, match="one picture at least"):
        fit_latent_colors(mixing_encoder, [])
