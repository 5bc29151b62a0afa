"""Compares an exported model, run by ONNX Runtime, with the network that it was exported from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from service.artifacts import UNET_GRAPH, VAE_DECODER_GRAPH, VAE_ENCODER_GRAPH, Parity
from service.denoising import Array, LatentBatch, StepRows, graph_inputs
from service.errors import ArtifactError
from service.model.primitives import TorchPrimitives
from service.probe import ModelShape, Probe, probe_noise, run_probe

PARITY_TOLERANCE = 1e-3
OTHER_BATCHES = (1, 3)  # beside the probe's own


class ExportedPrimitives:
    """The three graphs of a folder on the CPU, as they are: no tuning, the reference for what was written."""

    def __init__(self, folder: Path) -> None:
        self.unet, self.encoder, self.decoder = (
            onnxruntime.InferenceSession(folder / graph, providers=["CPUExecutionProvider"])
            for graph in (UNET_GRAPH, VAE_ENCODER_GRAPH, VAE_DECODER_GRAPH)
        )

    def vae_encode(self, images: Array) -> Array:
        """Latents [N, 4, h, w] of images [N, 3, s, s]."""
        return _only(self.encoder.run(None, {"images": images}))

    def denoise_step(self, batch: LatentBatch, rows: StepRows) -> LatentBatch:
        """The batch after a step."""
        x, clean = self.unet.run(None, graph_inputs(batch, rows))
        return LatentBatch(x, clean, batch.condition)

    def vae_decode(self, latents: Array) -> Array:
        """Images [N, 3, s, s] of latents [N, 4, h, w]."""
        return _only(self.decoder.run(None, {"latents": latents}))


def measure_parity(expected: TorchPrimitives, folder: Path, shape: ModelShape) -> tuple[Parity, Probe]:
    """Run the fixed inputs through both, the U-Net in several batch sizes.

    Returns the relative errors and the numbers that PyTorch answered. `ArtifactError` if an error is above
    `PARITY_TOLERANCE`.
    """
    exported = ExportedPrimitives(folder)
    ours, theirs = run_probe(expected, shape), run_probe(exported, shape)
    noise_errors = [
        relative_error(*(probe_noise(backend, shape, batch=batch) for backend in (expected, exported)))
        for batch in OTHER_BATCHES
    ]
    errors = {
        "noise": max(relative_error(ours.noise, theirs.noise), *noise_errors),
        "latents": relative_error(ours.latents, theirs.latents),
        "picture": relative_error(ours.picture, theirs.picture),
    }
    wrong = {name: error for name, error in errors.items() if not error <= PARITY_TOLERANCE}
    if wrong:
        raise ArtifactError(
            f"The exported model does not compute what the network does: relative errors {wrong}, at most "
            f"{PARITY_TOLERANCE} is allowed. Nothing was written. If only large weights are off, store them "
            "in fp32."
        )
    parity = Parity(
        noise=errors["noise"],
        latents=errors["latents"],
        picture=errors["picture"],
        batches=tuple(sorted({len(ours.noise), *OTHER_BATCHES})),
        torch=torch.__version__,
        onnxruntime=onnxruntime.__version__,
    )
    return parity, Probe.of(ours)


def relative_error(expected: Array, found: Array) -> float:
    """Norm of the difference / norm of what was expected."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _only(outputs: list[Array]) -> Array:
    (output,) = outputs
    return output
