"""The Stable-Diffusion autoencoder against diffusers', on weights filled by a rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from service.model.checkpoint import CheckpointMismatch, UnreadableCheckpoint
from service.model.config import AutoencoderKLConfig
from service.model.registry import import_autoencoder
from service.model.vae import AutoencoderKL
from tests.parity.fill_rule import GOLDEN, fill, load_golden, relative_error

TOLERANCE = 1e-5
CHANNELS = (32, 64, 64, 96)
OLDER_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.fixture(scope="module")
def network() -> AutoencoderKL:
    network = AutoencoderKL(AutoencoderKLConfig(channels=CHANNELS)).eval()
    network.requires_grad_(requires_grad=False)
    fill(network)
    return network


def write_config(folder: Path, **changes: object) -> None:
    values = {"_class_name": "AutoencoderKL", "block_out_channels": CHANNELS, "scaling_factor": 0.18215}
    (folder / "config.json").write_text(json.dumps({**values, **changes}))


def encoding_error(network: AutoencoderKL) -> float:
    golden = load_golden("autoencoder_kl_tiny")
    return relative_error(network.encode(torch.from_numpy(golden["images"])).detach(), golden["latents"])


def test_pictures_are_encoded_to_the_golden_posterior_mean(network: AutoencoderKL) -> None:
    assert encoding_error(network) < TOLERANCE


def test_latents_are_decoded_to_the_golden_pictures(network: AutoencoderKL) -> None:
    golden = load_golden("autoencoder_kl_tiny")
    decoded = network.decode(torch.from_numpy(golden["latents_to_decode"]))
    assert relative_error(decoded, golden["decoded"]) < TOLERANCE


def test_the_full_autoencoder_has_the_published_names_shapes_and_number_of_parameters() -> None:
    with torch.device("meta"):
        full = AutoencoderKL(AutoencoderKLConfig())
    published = json.loads((GOLDEN / "autoencoder_kl_full_state_dict.json").read_text())
    assert {name: list(value.shape) for name, value in full.state_dict().items()} == published
    assert sum(parameter.numel() for parameter in full.parameters()) == 83_653_863


def test_every_norm_has_diffusers_epsilon(network: AutoencoderKL) -> None:
    norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
    assert len(norms) == 52
    assert {norm.eps for norm in norms} == {1e-6}


def test_a_diffusers_folder_is_imported(tmp_path: Path, network: AutoencoderKL) -> None:
    write_config(tmp_path)
    save_file(network.state_dict(), tmp_path / "diffusion_pytorch_model.safetensors")
    assert encoding_error(import_autoencoder(tmp_path)) < TOLERANCE


def test_the_older_names_of_attention_layers_are_understood(tmp_path: Path, network: AutoencoderKL) -> None:
    write_config(tmp_path)
    state = network.state_dict()
    older = dict(state)
    for name in state:
        for modern, old in OLDER_NAMES.items():
            if f".attentions.0.{modern}." in name:
                older[name.replace(modern, old)] = older.pop(name)
    assert len(older.keys() - state.keys()) == 16
    torch.save(older, tmp_path / "diffusion_pytorch_model.bin")
    assert encoding_error(import_autoencoder(tmp_path)) < TOLERANCE


def test_the_scaling_factor_of_the_folder_is_heeded(tmp_path: Path, network: AutoencoderKL) -> None:
    write_config(tmp_path, scaling_factor=0.5)
    save_file(network.state_dict(), tmp_path / "diffusion_pytorch_model.safetensors")
    imported = import_autoencoder(tmp_path)
    images = torch.from_numpy(load_golden("autoencoder_kl_tiny")["images"])
    with torch.inference_mode():
        ratio = imported.encode(images).std() / network.encode(images).std()
    assert float(ratio) == pytest.approx(0.5 / 0.18215, rel=1e-5)


def test_a_folder_of_another_shape_is_refused(tmp_path: Path, network: AutoencoderKL) -> None:
    write_config(tmp_path, block_out_channels=[32, 64, 64])
    save_file(network.state_dict(), tmp_path / "diffusion_pytorch_model.safetensors")
    with pytest.raises(CheckpointMismatch):
        import_autoencoder(tmp_path)


def test_a_configuration_that_is_not_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UnreadableCheckpoint, match="is not JSON"):
        import_autoencoder(tmp_path)
