"""Makes a model of the store out of networks in memory: weights, graphs, parity report, manifest.

The one exporter, used by the command line and by training. The only module of the networks' package that also
needs onnx and onnxruntime.
"""

from __future__ import annotations

import copy
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from service.artifacts import (
    MANIFEST,
    MODEL_CARD,
    UNET_GRAPH,
    UNET_WEIGHTS,
    VAE_DECODER_GRAPH,
    VAE_ENCODER_GRAPH,
    VAE_WEIGHTS,
    FewStepSampling,
    LatentColors,
    Manifest,
    record_file,
    save_manifest,
)
from service.denoising import LatentBatch, StepCoefficients, StepRows, graph_inputs
from service.errors import ArtifactError
from service.model.autoencoder import Autoencoder
from service.model.config import UNetConfig
from service.model.inference.network import InferenceUNet, denoising_step
from service.model.latent_colors import fit_latent_colors, patterns
from service.model.onnx_graph import write_graph
from service.model.parity import measure_parity
from service.model.primitives import TorchPrimitives
from service.model.unet import MoebiusUNet
from service.probe import ModelShape

Precision = Literal["fp16", "fp32"]
PredictionType = Literal["epsilon", "v_prediction"]
ARCHITECTURE = "moebius"
READABLE = 0o644

Network = TypeVar("Network", bound=nn.Module)


def export_model(
    unet: MoebiusUNet,
    autoencoder: Autoencoder,
    folder: Path,
    *,
    name: str,
    source: str,
    licence: str,
    prediction_type: PredictionType = "epsilon",
    sampling: FewStepSampling | None = None,
    latent_colors: LatentColors | None = None,
    precision: Precision = "fp16",
    version: str = "1",
    card: str | None = None,
) -> Manifest:
    """Write the model into `folder`, which is made if need be, and return its manifest.

    In "fp16", matrices and filters are stored in half precision and vectors in fp32; what is computed, here
    and at serving, is what the stored weights say. The networks given are not changed. Files appear in the
    folder only after ONNX Runtime agreed with PyTorch; the manifest comes last. `sampling` says what a
    few-step network was distilled to; `latent_colors` are fitted on patterns unless they are given. `card` is the
    text of the model card, in Markdown. `ArtifactError` if the backends don't agree or a weight does not fit its
    precision.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
        draft = Path(made)
        stored = _store(unet, draft / UNET_WEIGHTS, precision)
        networks = TorchPrimitives(stored, _store(autoencoder, draft / VAE_WEIGHTS, precision))
        shape = _shape_of(unet.config, networks.autoencoder)
        _write_graphs(networks, stored, shape, draft)
        parity, probe = measure_parity(networks, draft, shape)
        manifest = Manifest(
            name=name,
            version=version,
            architecture=ARCHITECTURE,
            config={"unet": unet.config.to_dict(), "autoencoder": autoencoder.config.to_dict()},
            image_size=shape.image_size,
            latent_downscale=shape.latent_downscale,
            prediction_type=prediction_type,
            precision=precision,
            sampling=sampling,
            latent_colors=latent_colors or _fitted_colors(networks, shape),
            files={path.name: record_file(path) for path in sorted(draft.iterdir())},
            parity=parity,
            probe=probe,
            source=source,
            licence=licence,
            created=datetime.now(UTC).replace(microsecond=0),
        )
        save_manifest(manifest, draft)
        if card is not None:
            (draft / MODEL_CARD).write_text(card, encoding="utf-8")
        _move_into_place(draft, folder)
    return manifest


class FoldedStep(nn.Module):
    """A denoising step as a network of the training form's parameters: folding is a part of it, on constants, which the
    runtime that loads the graph does once. So the weights are stored once, as they were trained.
    """

    def __init__(self, unet: MoebiusUNet) -> None:
        super().__init__()
        self.unet = unet.eval()

    def forward(
        self,
        x: Tensor,
        clean: Tensor,
        condition: Tensor,
        timesteps: Tensor,
        source: Tensor,
        branch: Tensor,
        negative: Tensor,
        coefficients: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The next x and clean latents, [S, 4, h, w] both; inputs as denoising_step."""
        network = InferenceUNet.of(self.unet)
        return denoising_step(network, x, clean, condition, timesteps, source, branch, negative, coefficients)


class Encoder(nn.Module):
    """The encoding half of an autoencoder as a network of its own."""

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, images: Tensor) -> Tensor:
        """Map [B, 3, H, W] to latents [B, 4, h, w]."""
        return self.autoencoder.encode(images)


class Decoder(nn.Module):
    """The decoding half of an autoencoder as a network of its own."""

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, latents: Tensor) -> Tensor:
        """Map latents [B, 4, h, w] to [B, 3, H, W]."""
        return self.autoencoder.decode(latents)


def _store(network: Network, path: Path, precision: Precision) -> Network:
    """Write a network's weights and return a copy of it that holds exactly what was written."""
    state = {
        name: _stored(name, tensor.detach().cpu(), precision) for name, tensor in network.state_dict().items()
    }
    save_file(state, path)
    path.chmod(READABLE)  # safetensors makes it readable for the owner alone
    stored = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    stored.load_state_dict(load_file(path))
    return stored


def _stored(name: str, tensor: Tensor, precision: Precision) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.contiguous()
    is_vector = tensor.ndim < 2  # norms and biases: small, and the first to suffer
    converted = tensor.to(torch.float32 if is_vector or precision == "fp32" else torch.float16)
    if not converted.isfinite().all():
        raise ArtifactError(
            f"{name} holds values that {converted.dtype} can't: up to {tensor.abs().max():g}. "
            "Train on until they are finite, or store this model in fp32."
        )
    return converted.contiguous()


def _fitted_colors(networks: TorchPrimitives, shape: ModelShape) -> LatentColors:
    return fit_latent_colors(networks.vae_encode, patterns(shape.image_size))


def _shape_of(config: UNetConfig, autoencoder: Autoencoder) -> ModelShape:
    downscale = autoencoder.config.downscale
    return ModelShape(
        image_size=config.sample_size * downscale,
        latent_downscale=downscale,
        in_channels=config.in_channels,
        latent_channels=config.out_channels,
    )


def _write_graphs(networks: TorchPrimitives, unet: MoebiusUNet, shape: ModelShape, folder: Path) -> None:
    side, size, latents = shape.latent_side, shape.image_size, shape.latent_channels
    axes = {"x": "samples", "clean": "samples", "condition": "samples", "timesteps": "samples"}
    axes |= {"source": "rows", "branch": "rows", "negative": "samples", "coefficients": "samples"}
    batch = LatentBatch(
        *(
            np.zeros((2, channels, side, side), np.float32)
            for channels in (latents, latents, shape.in_channels - latents)
        )
    )  # two samples and three rows: a batch of one would be taken for a constant, and equal ones for the same
    rows = StepRows.of([StepCoefficients(1, 1.0, 0.0, guidance) for guidance in (2.0, 1.0)])
    inputs = {name: torch.from_numpy(array) for name, array in graph_inputs(batch, rows).items()}
    step = FoldedStep(unet)
    write_graph(
        step,
        inputs,
        axes,
        ("x_next", "clean_next"),
        folder / UNET_GRAPH,
        folder / UNET_WEIGHTS,
        prefix="unet.",
    )
    images = {"images": torch.zeros(2, 3, size, size)}
    latent = {"latents": torch.zeros(2, latents, side, side)}
    weights, prefix = folder / VAE_WEIGHTS, "autoencoder."
    encoder, decoder = Encoder(networks.autoencoder), Decoder(networks.autoencoder)
    for network, inputs, output, graph in (
        (encoder, images, "latents", VAE_ENCODER_GRAPH),
        (decoder, latent, "picture", VAE_DECODER_GRAPH),
    ):
        axes = dict.fromkeys(inputs, "batch")
        write_graph(network.eval(), inputs, axes, (output,), folder / graph, weights, prefix=prefix)


def _move_into_place(draft: Path, folder: Path) -> None:
    """Replace the folder's files, the manifest last: a crash on the way leaves what does not verify."""
    folder.mkdir(exist_ok=True)
    for path in sorted(draft.iterdir(), key=lambda path: path.name == MANIFEST):
        path.replace(folder / path.name)
