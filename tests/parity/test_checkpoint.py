"""The published `.bin` through the importer, and what is refused on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from service.model.checkpoint import (
    CheckpointMismatch,
    UnreadableCheckpoint,
    load_strictly,
    read_state,
)
from service.model.config import TINY
from service.model.registry import import_unet
from service.model.unet import MoebiusUNet
from tests.parity.fill_rule import GOLDEN, load_golden, relative_error

PUBLISHED = GOLDEN / "moebius_tiny.bin"
ENTRY = "diff_model.conv_in.bn1.weight"
ROWS = "embedding_layer.weight"

State = dict[str, Tensor]


@pytest.fixture
def state() -> State:
    return read_state(PUBLISHED)


def golden_error(network: MoebiusUNet) -> float:
    golden = load_golden("moebius_tiny")
    names = ("sample", "timesteps", "input_ids")
    with torch.inference_mode():
        noise = network(*(torch.from_numpy(golden[name]) for name in names))
    return relative_error(noise, golden["noise_pred"])


def test_the_published_layout_is_imported(tmp_path: Path) -> None:
    (tmp_path / "diffusion_pytorch_model.bin").symlink_to(PUBLISHED)
    assert golden_error(import_unet(tmp_path, TINY)) < 1e-5


def test_weights_come_back_from_safetensors_bit_by_bit(tmp_path: Path, state: State) -> None:
    network = MoebiusUNet(TINY)
    load_strictly(network, state)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    save_file(network.state_dict(), path)
    again = read_state(path)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], value) for name, value in state.items())
    assert golden_error(import_unet(tmp_path, TINY)) < 1e-5


def drop(state: State) -> None:
    del state[ENTRY]


def add(state: State) -> None:
    state["diff_model.mid_block.weight"] = torch.zeros(1)


def transpose(state: State) -> None:
    state[ROWS] = state[ROWS].t()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, f"1 missing: {ENTRY}"),
        (add, "1 unexpected: diff_model.mid_block.weight"),
        (transpose, f"1 wrongly shaped: {ROWS} (expected [20, 64], got [64, 20])"),
    ],
)
def test_an_entry_that_does_not_fit_is_named(
    state: State, change: Callable[[State], None], message: str
) -> None:
    change(state)
    with pytest.raises(CheckpointMismatch) as caught:
        load_strictly(MoebiusUNet(TINY), state)
    assert message in str(caught.value)


def test_a_refused_checkpoint_leaves_the_network_as_it_was(state: State) -> None:
    network = MoebiusUNet(TINY)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drop(state)
    with pytest.raises(CheckpointMismatch):
        load_strictly(network, state)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_long_list_of_entries_is_cut_in_the_message_and_whole_in_the_error(state: State) -> None:
    with pytest.raises(
        CheckpointMismatch, match=r"1203 missing: embedding_layer.weight, .* and 1195 more$"
    ) as caught:
        load_strictly(MoebiusUNet(TINY), {})
    assert caught.value.missing == list(state)


def test_a_pickle_of_anything_but_tensors_is_never_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"

    class Touch:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (touched,)

    path = tmp_path / "diffusion_pytorch_model.bin"
    torch.save({"weight": Touch()}, path)
    with pytest.raises(UnreadableCheckpoint, match=r"diffusion_pytorch_model\.bin is no readable checkpoint"):
        read_state(path)
    assert not touched.exists()


@pytest.mark.parametrize("name", ["weights.bin", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", PUBLISHED.read_bytes()[:1000]])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableCheckpoint, match=name):
        read_state(path)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"weight": torch.zeros(1)}}])
def test_a_file_of_another_structure_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "weights.bin"
    torch.save(content, path)
    with pytest.raises(UnreadableCheckpoint, match="one flat mapping"):
        read_state(path)


def test_a_folder_without_weights_says_which_files_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"diffusion_pytorch_model\.safetensors or .*\.bin"):
        import_unet(tmp_path, TINY)
