"""ONNX Runtime and PyTorch serve the same model: noise within 1e-3, pictures within 2/255 on average."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.artifacts import load_manifest, save_manifest
from service.contracts import Params
from service.engine.base import Array, Engine
from service.engine.inpaint import run
from service.engine.latent_engine import LatentEngine
from service.engine.onnx import OnnxEngine
from service.engine.selection import open_engine
from service.engine.torch import TorchEngine
from service.errors import ArtifactError
from service.model.parity import relative_error
from service.probe import probe_noise
from service.settings import Settings, default_model_store

BUILT_IN = default_model_store() / "moebius-nano"
BACKENDS = ("onnxruntime", "torch")
pytestmark = pytest.mark.slow


def settings_for(folder: Path, backend: str = "auto") -> Settings:
    return Settings.model_validate(
        {
            "model_store": folder.parent,
            "model": folder.name,
            "backend": backend,
            "device": "cpu",
            "precision": "fp32",
            "max_batch": 4,
        }
    )


@pytest.fixture(scope="module", params=["small", "built-in"])
def folder(request: pytest.FixtureRequest) -> Path:
    if request.param == "small":
        small: Path = request.getfixturevalue("small_model")
        return small
    return BUILT_IN


@pytest.fixture(scope="module")
def engines(folder: Path) -> Iterator[tuple[Engine, Engine]]:
    onnx, torch = (open_engine(settings_for(folder, backend)) for backend in BACKENDS)
    yield onnx, torch
    onnx.close()
    torch.close()


def tile(size: int) -> tuple[Array, Array]:
    generator = np.random.default_rng(5)
    image = np.tanh(generator.standard_normal((3, size // 8, size // 8))).repeat(8, axis=1).repeat(8, axis=2)
    mask = np.zeros((size, size), np.float32)
    mask[size // 4 : size // 2, size // 4 : size // 2] = 1
    return image.astype(np.float32), mask


def both(engines: tuple[Engine, Engine]) -> tuple[LatentEngine, LatentEngine]:
    onnx, torch = engines
    assert isinstance(onnx, LatentEngine)
    assert isinstance(torch, LatentEngine)
    return onnx, torch


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_noise_agrees_in_any_batch(engines: tuple[Engine, Engine], folder: Path, batch: int) -> None:
    shape = load_manifest(folder).shape
    onnx, torch = (probe_noise(engine, shape, batch=batch) for engine in both(engines))
    assert relative_error(torch, onnx) < 1e-3


@pytest.mark.parametrize("batch", [1, 3])
def test_the_autoencoder_agrees_in_any_batch(engines: tuple[Engine, Engine], batch: int) -> None:
    onnx, torch = both(engines)
    image, _ = tile(onnx.info.image_size)
    images = np.stack([image * np.float32(1 - 0.2 * number) for number in range(batch)])
    latents = torch.vae_encode(images)
    assert relative_error(latents, onnx.vae_encode(images)) < 1e-3
    assert relative_error(torch.vae_decode(latents), onnx.vae_decode(latents)) < 1e-3


def test_final_pictures_agree(engines: tuple[Engine, Engine]) -> None:
    params = Params(steps=6, seed=3, n=2)
    fills = [run(engine, [tile(engine.info.image_size)], params).fills for engine in engines]
    assert fills[0].shape == fills[1].shape
    assert np.abs(fills[0] - fills[1]).mean() < 2 * (2 / 255)  # pictures are in [-1, 1]


def test_pictures_in_half_precision_stay_within_two_levels_of_full_precision() -> None:
    """On a CPU: fp16 weights and results of operators, sums in fp32. A GPU sums in fp32, too."""
    settings = settings_for(BUILT_IN, "onnxruntime")
    full, half = (
        open_engine(settings.model_copy(update={"precision": precision})) for precision in ("fp32", "fp16")
    )
    fills = [run(engine, [tile(engine.info.image_size)], Params(seed=3)).fills for engine in (full, half)]
    difference = np.abs(fills[0] - fills[1]).mean()
    assert 0 < difference < 2 * (2 / 255)  # pictures are in [-1, 1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_engine_says_what_it_is(engines: tuple[Engine, Engine], folder: Path, backend: str) -> None:
    info = engines[BACKENDS.index(backend)].info
    assert (info.model, info.backend, info.device, info.precision) == (folder.name, backend, "cpu", "fp32")
    assert info.image_size == load_manifest(folder).image_size


def copy_with_wrong_probe(small_model: Path, store: Path) -> Path:
    folder = store / small_model.name
    shutil.copytree(small_model, folder)
    manifest = load_manifest(folder)
    numbers = manifest.probe.noise.model_copy(update={"mean": manifest.probe.noise.mean + 1})
    probe = manifest.probe.model_copy(update={"noise": numbers})
    save_manifest(manifest.model_copy(update={"probe": probe}), folder)
    return folder


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_that_answers_other_numbers_than_the_manifest_is_refused(
    small_model: Path, tmp_path: Path, backend: str
) -> None:
    folder = copy_with_wrong_probe(small_model, tmp_path)
    with pytest.raises(ArtifactError, match="answers wrong numbers here: its noise"):
        open_engine(settings_for(folder, backend))


@pytest.mark.parametrize("file", ["unet.safetensors", "unet.onnx", "vae_decoder.onnx"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_changed_byte_is_refused_at_load(
    small_model: Path, tmp_path: Path, backend: str, file: str
) -> None:
    folder = tmp_path / small_model.name
    shutil.copytree(small_model, folder)
    content = bytearray((folder / file).read_bytes())
    content[-1] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{file} has changed"):
        open_engine(settings_for(folder, backend))


def test_weights_of_another_network_are_refused(small_model: Path) -> None:
    manifest = load_manifest(small_model)
    config = manifest.config | {"unet": manifest.config["unet"] | {"token_width": 16}}
    with pytest.raises(ArtifactError, match=r"do not fit.*embedding_layer\.weight"):
        TorchEngine(small_model, manifest.model_copy(update={"config": config}), settings_for(small_model))


def test_a_graph_that_can_not_be_read_is_told_with_the_runtime(small_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / small_model.name
    shutil.copytree(small_model, folder)
    (folder / "unet.onnx").write_bytes(b"no graph")
    settings = settings_for(folder).model_copy(update={"cache_dir": tmp_path / "cache"})
    with pytest.raises(ArtifactError, match=r"ONNX Runtime .* can't load .*unet\.onnx"):
        OnnxEngine(folder, load_manifest(folder), settings)


@pytest.mark.parametrize(("engine", "hint"), [(OnnxEngine, r"moebius\[gpu\]"), (TorchEngine, "sees no GPU")])
def test_a_device_that_is_not_there_is_refused(
    small_model: Path, engine: type[OnnxEngine] | type[TorchEngine], hint: str
) -> None:
    settings = settings_for(small_model).model_copy(update={"device": "cuda"})
    with pytest.raises(ArtifactError, match=hint):
        engine(small_model, load_manifest(small_model), settings)


def test_onnxruntime_refuses_a_precision_that_it_does_not_compute_in(small_model: Path) -> None:
    settings = settings_for(small_model).model_copy(update={"precision": "bf16"})
    with pytest.raises(ArtifactError, match="computes in fp32 or fp16, bf16 was asked for"):
        OnnxEngine(small_model, load_manifest(small_model), settings)
