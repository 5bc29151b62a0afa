"""The model store is only believed byte for byte."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.artifacts import (
    MANIFEST,
    FewStepSampling,
    LatentColors,
    Manifest,
    Parity,
    load_manifest,
    model_folder,
    model_folders,
    record_file,
    save_manifest,
    verify,
)
from service.errors import ArtifactError
from service.probe import Numbers, Probe

NUMBERS = Numbers(mean=0.0, std=1.0, first=(0.5,))
CONTENTS = {"unet.onnx": b"a graph", "unet.safetensors": b"many weights", "vae.safetensors": b""}


def make_model(store: Path, name: str = "nano") -> Path:
    folder = store / name
    folder.mkdir(parents=True)
    for file, content in CONTENTS.items():
        (folder / file).write_bytes(content)
    manifest = Manifest(
        name=name,
        version="1",
        architecture="moebius",
        config={"unet": {}, "autoencoder": {}},
        image_size=256,
        latent_downscale=8,
        prediction_type="epsilon",
        precision="fp16",
        files={file: record_file(folder / file) for file in CONTENTS},
        parity=Parity(noise=0, latents=0, picture=0, batches=(1,), torch="2", onnxruntime="1"),
        probe=Probe(noise=NUMBERS, latents=NUMBERS, picture=NUMBERS),
        source="a test",
        licence="CC0-1.0",
        created=datetime(2025, 1, 1, tzinfo=UTC),
    )
    save_manifest(manifest, folder)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "store")


def edit_manifest(folder: Path, **changes: Any) -> None:
    values = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(values | changes))


def test_an_untouched_model_verifies(model: Path) -> None:
    assert verify(model) == load_manifest(model)


def test_a_model_without_its_own_sampling_is_written_as_older_readers_know_it(model: Path) -> None:
    assert "sampling" not in json.loads((model / MANIFEST).read_text())
    assert load_manifest(model).sampling is None


def test_a_few_step_models_sampling_comes_back(model: Path) -> None:
    sampling = FewStepSampling(timesteps=(999, 749, 499, 249), guidance_scale=2.0)
    save_manifest(load_manifest(model).model_copy(update={"sampling": sampling}), model)
    assert json.loads((model / MANIFEST).read_text())["sampling"] == {
        "timesteps": [999, 749, 499, 249],
        "guidance_scale": 2.0,
    }
    assert load_manifest(model).sampling == sampling


@pytest.mark.parametrize(
    "sampling",
    [
        {"timesteps": [], "guidance_scale": 2.0},
        {"timesteps": [249, 499], "guidance_scale": 2.0},
        {"timesteps": [499, 499], "guidance_scale": 2.0},
        {"timesteps": [1000, 499], "guidance_scale": 2.0},
        {"timesteps": [499, -1], "guidance_scale": 2.0},
        {"timesteps": [999.5], "guidance_scale": 2.0},
        {"timesteps": list(range(101, 0, -1)), "guidance_scale": 2.0},
        {"timesteps": [999], "guidance_scale": 0.5},
        {"timesteps": [999]},
        {"timesteps": [999], "guidance_scale": 2.0, "sampler": "other"},
    ],
)
def test_sampling_that_can_not_be_run_is_no_manifest(model: Path, sampling: dict[str, Any]) -> None:
    edit_manifest(model, sampling=sampling)
    with pytest.raises(ArtifactError, match=r"not a valid manifest: sampling.*Export or import"):
        load_manifest(model)


def test_a_changed_byte_is_refused_and_both_digests_are_told(model: Path) -> None:
    path = model / "unet.safetensors"
    expected = record_file(path).sha256
    path.write_bytes(b"many Weights")
    with pytest.raises(ArtifactError, match=rf"unet\.safetensors has changed.*{expected}.*export") as caught:
        verify(model)
    assert record_file(path).sha256 in caught.value.detail


def test_a_missing_file_is_refused(model: Path) -> None:
    (model / "vae.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"vae\.safetensors can't be read: No such file"):
        verify(model)


def test_weights_that_the_manifest_does_not_list_are_refused(model: Path) -> None:
    (model / "extra.bin").write_bytes(b"?")
    with pytest.raises(ArtifactError, match=r"extra\.bin, which manifest\.json does not list"):
        verify(model)


def test_a_model_card_and_its_pictures_need_no_listing(model: Path) -> None:
    (model / "MODEL_CARD.md").write_text("# A model")
    (model / "loss.png").write_bytes(b"")
    verify(model)


@pytest.mark.parametrize("name", ["../secret.onnx", "/etc/passwd", "a/b.onnx", "..", "a\\b.onnx", ""])
def test_a_listed_path_that_is_no_plain_name_is_refused(model: Path, name: str) -> None:
    edit_manifest(model, files={name: {"sha256": "0" * 64, "bytes": 1}})
    with pytest.raises(ArtifactError, match="not a plain file name"):
        verify(model)


def test_a_link_out_of_the_folder_is_refused(model: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    (model / "unet.onnx").rename(outside)
    (model / "unet.onnx").symlink_to(outside)
    with pytest.raises(ArtifactError, match="leads out of the model's folder"):
        verify(model)


def test_a_folder_without_a_manifest_says_how_to_get_a_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="moebius models pull"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"surprise": 1}, "surprise"),
        ({"image_size": 0}, "image_size"),
        ({"prediction_type": "guess"}, "prediction_type"),
        ({"name": "../up"}, "name"),
        ({"files": {"unet.onnx": {"sha256": "short", "bytes": 1}}}, "sha256"),
    ],
)
def test_a_manifest_that_is_not_valid_names_the_field(
    model: Path, changes: dict[str, Any], named: str
) -> None:
    edit_manifest(model, **changes)
    with pytest.raises(ArtifactError, match=f"not a valid manifest: .*{named}"):
        load_manifest(model)


def test_the_store_lists_its_models_by_name(tmp_path: Path) -> None:
    for name in ("zebra", "ant"):
        make_model(tmp_path, name)
    (tmp_path / "not-a-model").mkdir()
    assert [folder.name for folder in model_folders(tmp_path)] == ["ant", "zebra"]


def test_the_draft_that_a_killed_export_left_is_no_model(tmp_path: Path) -> None:
    make_model(tmp_path, "nano").rename(tmp_path / ".nano.x1y2z3")
    assert model_folders(tmp_path) == []


def test_a_store_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert model_folders(tmp_path / "nowhere") == []


def test_an_unknown_model_is_answered_with_those_that_there_are(model: Path) -> None:
    assert model_folder(model.parent, "nano") == model
    with pytest.raises(ArtifactError, match=r"No model '\.\./nano'.*there are: nano"):
        model_folder(model.parent, "../nano")


def test_the_digest_changes_with_any_file(model: Path) -> None:
    before = load_manifest(model).digest
    edit_manifest(model, files={"unet.onnx": {"sha256": "0" * 64, "bytes": 1}})
    assert load_manifest(model).digest != before


@pytest.mark.parametrize(
    ("kernel", "columns", "problem"),
    [(1, 4, None), (3, 36, None), (2, 16, "must be odd"), (3, 4, "a column for each latent channel")],
)
def test_a_map_to_colours_has_a_column_for_each_latent_of_its_window(
    kernel: int, columns: int, problem: str | None
) -> None:
    fields = {"kernel": kernel, "matrix": [[0.5] * columns] * 3, "bias": [0, 0, 0]}
    if problem is None:
        assert len(LatentColors.model_validate(fields).matrix[0]) == columns
    else:
        with pytest.raises(ValidationError, match=problem):
            LatentColors.model_validate(fields)
