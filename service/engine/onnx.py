"""The ONNX Runtime backend: three graphs of a model on one of its execution providers. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from service.artifacts import UNET_GRAPH, VAE_DECODER_GRAPH, VAE_ENCODER_GRAPH, Manifest
from service.denoising import Array, LatentBatch, StepCoefficients, StepRows, graph_inputs
from service.engine.base import EngineInfo, EngineLimits
from service.engine.latent_engine import EncodedTile, LatentEngine
from service.engine.onnx_capture import CapturedStep
from service.engine.onnx_providers import InputRange, Provider, Shapes
from service.engine.onnx_sessions import GraphSessions
from service.engine.onnx_step import INPUTS, BoundStep
from service.errors import ArtifactError
from service.probe import ModelShape, check_probe
from service.settings import Settings

GUIDED, UNGUIDED = 2.0, 1.0  # any scale that needs a negative row, and the one that needs none


class OnnxEngine(LatentEngine):
    """A model of the store on ONNX Runtime. The files must have been verified (artifacts.verify).

    `ArtifactError` if the graphs can't be loaded, the device is not there or it answers wrong numbers.
    """

    def __init__(self, folder: Path, manifest: Manifest, settings: Settings) -> None:
        provider, most, shape = Provider.chosen_by(settings), settings.max_batch, manifest.shape
        super().__init__(
            EngineInfo.of(
                manifest, backend=provider.backend, device=provider.device, precision=provider.precision
            ),
            EngineLimits(tuple(range(1, most + 1))) if provider.captures else EngineLimits.up_to(most),
            manifest.latent_downscale,
        )
        self._shape = shape
        sessions = GraphSessions(folder, manifest, provider, settings)
        steps = InputRange(_step_shapes(shape, 1, UNGUIDED), _step_shapes(shape, most, GUIDED))
        unet = sessions.open(UNET_GRAPH, steps, captures=provider.captures)
        _require_interface(unet, folder)
        self._step = (CapturedStep if provider.captures else BoundStep)(unet, provider.memory)
        images = {"images": (3, shape.image_size, shape.image_size)}
        latents = {"latents": (shape.latent_channels, shape.latent_side, shape.latent_side)}
        self._encoder = sessions.open(VAE_ENCODER_GRAPH, _batches(images, most))
        self._decoder = sessions.open(VAE_DECODER_GRAPH, _batches(latents, most))
        check_probe(manifest.probe, self, shape, precision=provider.precision)

    def vae_encode(self, images: Array) -> Array:
        """Latents [N, 4, h, w] of images [N, 3, s, s] in [-1, 1]."""
        return _run(self._encoder, images=images)

    def place(self, batch: LatentBatch) -> Any:
        """A batch on the device."""
        return self._step.place(batch)

    def advance(self, on_device: Any, rows: StepRows) -> Any:
        """The batch after a step, on the device."""
        return self._step.advance(on_device, rows)

    def fetch(self, on_device: Any) -> LatentBatch:
        """A batch on the host."""
        return self._step.fetch(on_device)

    def vae_decode(self, latents: Array) -> Array:
        """Images [N, 3, s, s] of latents [N, 4, h, w]."""
        return _run(self._decoder, latents=latents)

    def _warm(self, encoded: EncodedTile, count: int) -> None:
        """Where CUDA graphs are used, the size's are captured first."""
        if isinstance(self._step, CapturedStep):
            guidance = UNGUIDED if self.info.is_distilled else GUIDED
            self._step.capture(*_step_of(self._shape, count, guidance))
        super()._warm(encoded, count)


def _run(session: Any, **inputs: Array) -> Array:
    output: Array = session.run(None, inputs)[0]
    return output


def _step_of(shape: ModelShape, samples: int, guidance: float) -> tuple[LatentBatch, StepRows]:
    """A step of empty samples, all at one guidance."""
    side, latents = shape.latent_side, shape.latent_channels
    channels = (latents, latents, shape.in_channels - latents)
    batch = LatentBatch(*(np.zeros((samples, width, side, side), np.float32) for width in channels))
    return batch, StepRows.of([StepCoefficients(0, 1.0, 0.0, guidance)] * samples)


def _step_shapes(shape: ModelShape, samples: int, guidance: float) -> Shapes:
    inputs = graph_inputs(*_step_of(shape, samples, guidance))
    return {name: array.shape for name, array in inputs.items()}


def _batches(one: Shapes, most: int) -> InputRange:
    smallest, largest = ({name: (size, *rest) for name, rest in one.items()} for size in (1, most))
    return InputRange(smallest, largest)


def _require_interface(unet: Any, folder: Path) -> None:
    """A graph of another release has other inputs: it computed a forward of the network, and no step."""
    found = tuple(value.name for value in unet.get_inputs())
    if set(found) != set(INPUTS):
        raise ArtifactError(
            f"{folder / UNET_GRAPH} was exported for another version of this program: its inputs are "
            f"{', '.join(found)}, those of a denoising step are {', '.join(INPUTS)}. Run `moebius models export "
            f"{folder.name}`, or pull the model again."
        )
