"""What an export writes: weights once, in the precision asked for, and graphs that point at them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from safetensors.torch import load_file

from service.artifacts import MODEL_CARD, UNET_GRAPH, UNET_WEIGHTS, VAE_WEIGHTS, load_manifest, verify
from service.engine.torch import load_networks
from service.errors import ArtifactError
from service.model.export import export_model
from service.model.onnx_graph import stored_tensors
from tests.small_model import FEW_STEP, NAME, export_small_model, small_autoencoder, small_unet

GRAPHS = {"unet.onnx": UNET_WEIGHTS, "vae_encoder.onnx": VAE_WEIGHTS, "vae_decoder.onnx": VAE_WEIGHTS}
pytestmark = pytest.mark.slow


def external_tensors(path: Path) -> list[onnx.TensorProto]:
    graph = onnx.load(path, load_external_data=False).graph
    return [tensor for tensor in graph.initializer if tensor.external_data]


def test_the_model_verifies_and_keeps_its_card(small_model: Path) -> None:
    manifest = verify(small_model)
    assert set(manifest.files) == {*GRAPHS, UNET_WEIGHTS, VAE_WEIGHTS}
    assert (small_model / MODEL_CARD).read_text().startswith("# A model")


def test_a_few_step_model_is_the_same_network_with_its_sampling(small_model: Path, tmp_path: Path) -> None:
    export_small_model(tmp_path, sampling=FEW_STEP)
    few_step = verify(tmp_path / NAME)
    assert few_step.sampling == FEW_STEP
    assert few_step.files[UNET_WEIGHTS] == load_manifest(small_model).files[UNET_WEIGHTS]


def test_the_report_tells_parity_well_within_its_limit(small_model: Path) -> None:
    parity = load_manifest(small_model).parity
    assert max(parity.noise, parity.latents, parity.picture) < 1e-4
    assert parity.batches == (1, 2, 3)


def test_matrices_are_stored_in_half_precision_and_vectors_in_full(small_model: Path) -> None:
    for name, tensor in load_file(small_model / UNET_WEIGHTS).items():
        if tensor.is_floating_point():
            assert tensor.dtype == (torch.float16 if tensor.ndim > 1 else torch.float32), name


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_weight_of_a_graph_is_the_same_bytes_of_the_weights_file(small_model: Path, graph: str) -> None:
    weights = small_model / GRAPHS[graph]
    stored = stored_tensors(weights)
    tensors = external_tensors(small_model / graph)
    assert tensors
    for tensor in tensors:
        place = {entry.key: entry.value for entry in tensor.external_data}
        assert place["location"] == weights.name
        assert (int(place["offset"]), int(place["length"])) == (
            stored[tensor.name].offset,
            stored[tensor.name].length,
        )


def test_all_parameters_of_the_network_are_in_its_graph(small_model: Path) -> None:
    expected = {name for name in small_unet().state_dict() if not name.endswith("num_batches_tracked")}
    assert {tensor.name for tensor in external_tensors(small_model / UNET_GRAPH)} == expected


def test_the_places_read_from_a_header_hold_the_tensors(small_model: Path) -> None:
    path = small_model / UNET_WEIGHTS
    content, tensors = path.read_bytes(), load_file(path)
    for name, place in stored_tensors(path).items():
        held = content[place.offset : place.offset + place.length]
        assert held == tensors[name].numpy().tobytes(), name


def test_a_graph_says_nothing_of_the_machine_that_made_it(small_model: Path) -> None:
    for graph in GRAPHS:
        assert b".py" not in (small_model / graph).read_bytes()


def test_torch_loads_the_very_numbers_that_were_stored(small_model: Path) -> None:
    unet, _ = load_networks(small_model, load_manifest(small_model))
    original = small_unet().state_dict()
    for name, tensor in unet.state_dict().items():
        expected = original[name].half().float() if tensor.ndim > 1 else original[name]
        assert torch.equal(tensor, expected), name


def test_a_weight_that_half_precision_can_not_hold_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    unet = small_unet()
    with torch.no_grad():
        unet.diff_model.conv_in.conv_pw.weight[0, 0] = 1e6
    with pytest.raises(ArtifactError, match=r"conv_in\.conv_pw\.weight holds values.*float16"):
        export_model(
            unet, small_autoencoder(), tmp_path / "store" / "huge", name="huge", source="", licence=""
        )
    assert list((tmp_path / "store").iterdir()) == []
