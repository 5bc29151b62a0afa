"""What every latent-diffusion backend shares: masking, batching, and which latents lie on the device.

A backend adds three primitives (`vae_encode`, `advance`, `vae_decode`) and owns its device. A batch stays there from
step to step as long as the same states are in it.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from service.artifacts import LatentColors
from service.denoising import Array, LatentBatch, StepCoefficients, StepRows
from service.engine.base import DeviceOutOfMemory, EngineInfo, EngineLimits, Tile
from service.engine.out_of_memory import device_memory
from service.engine.sampler import initial_noise
from service.latent_windows import latent_windows, with_border_repeated

logger = logging.getLogger(__name__)

LATENT_CHANNELS = 4

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class EncodedTile:
    """One crop as the network reads it: `mask` [1, h, w], `masked_latents` [4, h, w], and if asked for,
    `latents` [4, h, w] of the whole crop.
    """

    mask: Array
    masked_latents: Array
    latents: Array | None

    @property
    def condition(self) -> Array:
        """Mask and masked latents as one, [5, h, w]."""
        return np.concatenate([self.mask, self.masked_latents])


class PlacedBatch:
    """A batch between two steps, on the device or, before its first step, on the host alone. It is never written to: a
    step makes the next one.
    """

    def __init__(self, on_device: Any, size: int, fetch: Callable[[Any], LatentBatch]) -> None:
        self.on_device = on_device
        self.size = size
        self._fetch = fetch

    @classmethod
    def alone(cls, x: Array, condition: Array) -> PlacedBatch:
        """One sample at its start, x [4, h, w] and condition [5, h, w]."""
        latents = LatentBatch(x[None], np.zeros_like(x)[None], condition[None])
        return cls(None, 1, lambda _: latents)

    @cached_property
    def latents(self) -> LatentBatch:
        """What it holds, on the host."""
        return self._fetch(self.on_device)


@dataclass(slots=True, eq=False)
class LatentState:
    """One item in flight: row `row` of `placed` moves at each step, the conditions of `encoded` stay."""

    encoded: EncodedTile
    placed: PlacedBatch
    row: int

    @property
    def x(self) -> Array:
        """The noisy latents [4, h, w]."""
        x: Array = self.placed.latents.x[self.row]
        return x

    @property
    def clean(self) -> Array:
        """The clean latents [4, h, w] that the last step implied; zeros before the first."""
        clean: Array = self.placed.latents.clean[self.row]
        return clean


class LatentEngine(ABC):
    """The engine protocol (engine/base.py) over three primitives. Not thread-safe."""

    def __init__(self, info: EngineInfo, limits: EngineLimits, latent_downscale: int = 8) -> None:
        self.info = info
        self.limits = limits
        self.latent_downscale = latent_downscale
        side = info.image_size // latent_downscale
        self.latent_shape = (LATENT_CHANNELS, side, side)

    @abstractmethod
    def vae_encode(self, images: Array) -> Array:
        """Latents [N, 4, h, w], scaled, of images [N, 3, s, s] in [-1, 1]."""

    @abstractmethod
    def advance(self, on_device: Any, rows: StepRows) -> Any:
        """The next batch on the device: the network on `rows`, guidance and update (denoising.update)."""

    def place(self, batch: LatentBatch) -> Any:
        """A batch on the device; a backend that computes elsewhere than in the host's memory overrides this."""
        return batch

    def fetch(self, on_device: Any) -> LatentBatch:
        """A batch on the host; the inverse of `place`. May be called from another thread than `advance`."""
        batch: LatentBatch = on_device
        return batch

    def denoise_step(self, batch: LatentBatch, rows: StepRows) -> LatentBatch:
        """One step from the host to the host, for the fixed inputs that prove a backend (probe.py)."""
        return self.fetch(self.advance(self.place(batch), rows))

    @abstractmethod
    def vae_decode(self, latents: Array) -> Array:
        """Images [N, 3, s, s] of latents [N, 4, h, w]."""

    def memory_bytes(self) -> dict[str, int]:
        """Memory of the device by kind; a backend that can tell overrides this."""
        return {}

    def close(self) -> None:  # noqa: B027 - not abstract: most backends have nothing to free
        """Free the device; a backend that holds one overrides this."""

    def warmup(self) -> None:
        """Run every batch size once, the largest first, so that no request pays for the first allocation.

        A CPU has no memory to plan and no kernels to choose for each size: there one run does. A size that the
        device has no memory for is dropped from the limits; `DeviceOutOfMemory` if that is the smallest.
        """
        size = self.info.image_size
        tile = Tile(np.zeros((3, size, size), np.float32), np.ones((size, size), np.float32))
        encoded = self.encode([tile], with_image=False)[0]
        sizes = self.limits.batch_sizes[:1] if self.info.device == "cpu" else self.limits.batch_sizes
        for count in sorted(sizes, reverse=True):
            try:
                self._warm(encoded, count)
            except DeviceOutOfMemory as error:
                self._allow_less_than(count, error)
        self.decode([self._start(encoded, 0)])

    def _warm(self, encoded: EncodedTile, count: int) -> None:
        states = [self._start(encoded, index) for index in range(count)]
        guidance = 1.0 if self.info.is_distilled else 2.0  # as its requests will be, where they are guided
        self.step(states, [StepCoefficients(0, 1.0, 0.0, guidance)] * count)

    def _start(self, encoded: EncodedTile, index: int) -> LatentState:
        return self.begin(encoded, initial_noise(0, index, self.latent_shape), 0.0, 1.0)

    def _allow_less_than(self, count: int, error: DeviceOutOfMemory) -> None:
        smaller = tuple(size for size in self.limits.batch_sizes if size < count)
        if not smaller:
            raise error
        logger.warning("no memory for a batch size", extra={"batch": count})
        self.limits = EngineLimits(smaller)

    @device_memory()
    def encode(self, tiles: Sequence[Tile], *, with_image: bool) -> list[EncodedTile]:
        """VAE-encode the masked tiles, and the whole tiles too if `with_image`."""
        cells = [mask_to_cells(tile.mask, self.latent_downscale) for tile in tiles]
        images = [self._mask_image(tile.image, mask) for tile, mask in zip(tiles, cells, strict=True)]
        if with_image:
            images += [tile.image for tile in tiles]
        latents = self._in_chunks(self.vae_encode, np.stack(images).astype(np.float32, copy=False))
        whole = list(latents[len(tiles) :]) if with_image else [None] * len(tiles)
        return [
            EncodedTile(mask, masked, image)
            for mask, masked, image in zip(cells, latents[: len(tiles)], whole, strict=True)
        ]

    def begin(
        self, encoded: EncodedTile, noise: Array, image_scale: float, noise_scale: float
    ) -> LatentState:
        """A state at its first step: image_scale * latents + noise_scale * noise, noise [4, h, w]."""
        if noise.shape != self.latent_shape:
            raise ValueError(f"noise must be {list(self.latent_shape)}, got {list(noise.shape)}")
        x = np.float32(noise_scale) * noise
        if image_scale:
            if encoded.latents is None:
                raise ValueError("a start from the image needs encode(..., with_image=True)")
            x = x + np.float32(image_scale) * encoded.latents
        x = x.astype(np.float32, copy=False)
        return LatentState(encoded, PlacedBatch.alone(x, encoded.condition), row=0)

    @device_memory()
    def step(self, states: Sequence[LatentState], coefficients: Sequence[StepCoefficients]) -> None:
        """Advance each state by its own row; both guidance branches of a chunk run as one batch.

        The states move when all chunks are computed, so that a step which fails can be tried again.
        """
        pairs = zip(states, coefficients, strict=True)
        moved = [self._step_chunk(chunk) for chunk in _chunks(pairs, self._largest_batch)]
        for chunk, placed in moved:
            for row, state in enumerate(chunk):
                state.placed, state.row = placed, row

    def preview(self, state: LatentState) -> Callable[[], Array] | None:
        """What tells the colours that the state's last step implied; None where the model has no map to colours.

        The batch after a step is never written to, so it is fetched by whoever asks, when they do.
        """
        colors = self.info.latent_colors
        placed, row = state.placed, state.row
        return None if colors is None else lambda: latent_colors(colors, placed.latents.clean[row])

    @device_memory()
    def decode(self, states: Sequence[LatentState]) -> Array:
        """Pictures [n, 3, s, s] in [-1, 1]."""
        latents = np.stack([state.x for state in states])  # [n, 4, h, w]
        return np.clip(self._in_chunks(self.vae_decode, latents), -1, 1)

    @property
    def _largest_batch(self) -> int:
        return self.limits.batch_sizes[-1]

    def _step_chunk(
        self, chunk: Sequence[tuple[LatentState, StepCoefficients]]
    ) -> tuple[list[LatentState], PlacedBatch]:
        """The states of a chunk in order, and where they are after the step."""
        states = [state for state, _ in chunk]
        rows = StepRows.of([row for _, row in chunk])
        return states, PlacedBatch(self.advance(self._on_device(states), rows), len(states), self.fetch)

    def _on_device(self, states: Sequence[LatentState]) -> Any:
        """The states as one batch on the device: where they are already, unless some joined or left."""
        placed = states[0].placed
        together = all(state.placed is placed and state.row == row for row, state in enumerate(states))
        if together and placed.size == len(states) and placed.on_device is not None:
            return placed.on_device
        return self.place(
            LatentBatch(
                x=np.stack([state.x for state in states]),  # [S, 4, h, w]
                clean=np.stack([state.clean for state in states]),  # [S, 4, h, w]
                condition=np.stack([state.encoded.condition for state in states]),  # [S, 5, h, w]
            )
        )

    def _mask_image(self, image: Array, cells: Array) -> Array:
        """The image with every cell of the hole at 0, mid-grey."""
        hole = cells[0].repeat(self.latent_downscale, axis=0).repeat(self.latent_downscale, axis=1)  # [s, s]
        masked: Array = image * (1 - hole)
        return masked

    def _in_chunks(self, primitive: Callable[[Array], Array], batch: Array) -> Array:
        size = self._largest_batch
        return np.concatenate(
            [primitive(batch[start : start + size]) for start in range(0, len(batch), size)]
        )


def latent_colors(colors: LatentColors, latents: Array) -> Array:
    """The colours [3, h, w] of latents [4, h, w], in [-1, 1] as far as the map is right."""
    matrix, bias = np.array(colors.matrix, np.float32), np.array(colors.bias, np.float32)
    rgb: Array = np.tensordot(matrix, latent_windows(latents, colors.kernel), axes=1) + bias[:, None, None]
    return with_border_repeated(rgb)


def mask_to_cells(mask: Array, downscale: int) -> Array:
    """The mask [s, s] on the latent grid [1, h, w]; one pixel makes its cell a hole (thin strokes stay)."""
    side = mask.shape[0] // downscale
    cells: Array = mask.reshape(side, downscale, side, downscale).max(axis=(1, 3))
    return (cells > 0)[None].astype(np.float32)


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while chunk := list(islice(items, size)):
        yield chunk
