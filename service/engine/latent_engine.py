"""What every latent-diffusion backend shares: masking, batching, guidance and the step, in numpy.

A backend adds three primitives (`vae_encode`, `predict`, `vae_decode`) and owns its device; the states here
are fp32 arrays.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from service.engine.base import Array, DeviceOutOfMemory, EngineInfo, EngineLimits, StepCoefficients, Tile
from service.engine.out_of_memory import device_memory
from service.engine.sampler import initial_noise

logger = logging.getLogger(__name__)

LATENT_CHANNELS = 4
TOKENS_PER_PROMPT = 10
POSITIVE_TOKENS = np.arange(TOKENS_PER_PROMPT, dtype=np.int64)  # "background": what the hole becomes
NEGATIVE_TOKENS = POSITIVE_TOKENS + TOKENS_PER_PROMPT  # "foreground": what guidance moves away from

Item = TypeVar("Item")
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EncodedTile:
    """One crop as the network reads it: `mask` [1, h, w], `masked_latents` [4, h, w], and if asked for,
    `latents` [4, h, w] of the whole crop.
    """

    mask: Array
    masked_latents: Array
    latents: Array | None


@dataclass(slots=True)
class LatentState:
    """One item in flight: `x` [4, h, w] moves at each step, the conditions of `encoded` stay."""

    x: Array
    encoded: EncodedTile


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
    def predict(self, sample: Array, timesteps: Integers, token_ids: Integers) -> Array:
        """The network's output [N, 4, h, w] for sample [N, 9, h, w], timesteps [N] and token ids [N, 10]."""

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
        return LatentState(x.astype(np.float32, copy=False), encoded)

    @device_memory()
    def step(self, states: Sequence[LatentState], coefficients: Sequence[StepCoefficients]) -> None:
        """Advance each state by its own row; both guidance branches of a chunk run as one batch.

        The states move when all chunks are computed, so that a step which fails can be tried again.
        """
        pairs = zip(states, coefficients, strict=True)
        moved = [x for chunk in _chunks(pairs, self._largest_batch) for x in self._step_chunk(chunk)]
        for state, x in zip(states, moved, strict=True):
            state.x = x

    @device_memory()
    def decode(self, states: Sequence[LatentState]) -> Array:
        """Pictures [n, 3, s, s] in [-1, 1]."""
        latents = np.stack([state.x for state in states])  # [n, 4, h, w]
        return np.clip(self._in_chunks(self.vae_decode, latents), -1, 1)

    @property
    def _largest_batch(self) -> int:
        return self.limits.batch_sizes[-1]

    def _step_chunk(self, chunk: Sequence[tuple[LatentState, StepCoefficients]]) -> Iterator[Array]:
        """The next x [4, h, w] of each state."""
        rows = [row for _, row in chunk]
        guided = [index for index, row in enumerate(rows) if row.guidance != 1]
        sample = np.stack([_network_input(state) for state, _ in chunk])  # [B, 9, h, w]
        timesteps = np.array([row.timestep for row in rows], dtype=np.int64)  # [B]
        tokens = np.tile(POSITIVE_TOKENS, (len(rows), 1))  # [B, 10]
        negative_tokens = np.tile(NEGATIVE_TOKENS, (len(guided), 1))
        prediction = self.predict(
            np.concatenate([sample, sample[guided]]),
            np.concatenate([timesteps, timesteps[guided]]),
            np.concatenate([tokens, negative_tokens]),
        )  # [B + guided, 4, h, w]
        positive = prediction[: len(rows)]
        negative = dict(zip(guided, prediction[len(rows) :], strict=True))
        for index, (state, row) in enumerate(chunk):
            output = _guide(positive[index], negative.get(index), row.guidance)
            yield np.float32(row.a) * state.x + np.float32(row.b) * output

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


def mask_to_cells(mask: Array, downscale: int) -> Array:
    """The mask [s, s] on the latent grid [1, h, w]; one pixel makes its cell a hole (thin strokes stay)."""
    side = mask.shape[0] // downscale
    cells: Array = mask.reshape(side, downscale, side, downscale).max(axis=(1, 3))
    return (cells > 0)[None].astype(np.float32)


def _network_input(state: LatentState) -> Array:
    """[9, h, w]: noisy latents, mask, latents of the masked image."""
    return np.concatenate([state.x, state.encoded.mask, state.encoded.masked_latents])


def _guide(positive: Array, negative: Array | None, guidance: float) -> Array:
    """Classifier-free guidance (arXiv 2207.12598)."""
    if negative is None:
        return positive
    guided: Array = negative + np.float32(guidance) * (positive - negative)
    return guided


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while chunk := list(islice(items, size)):
        yield chunk
