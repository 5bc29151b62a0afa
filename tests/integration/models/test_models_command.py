"""`moebius models list | verify | import | export` on real folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from service.artifacts import MODEL_CARD, verify
from service.cli import app
from service.model.registry import import_unet
from tests.integration.models.published import WEIGHTS, write_small_unet, write_vae
from tests.small_model import UNET


def models(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["models", *map(str, arguments)])


@pytest.fixture
def store(small_model: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_model, tmp_path / "store" / small_model.name)
    return tmp_path / "store"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder as published, its autoencoder inside."""
    folder = tmp_path / "published"
    write_small_unet(folder)
    write_vae(folder / "vae")
    return folder


@pytest.mark.slow
def test_list_tells_name_size_licence_and_source(store: Path) -> None:
    done = models("list", "--model-store", store)
    assert done.exit_code == 0
    assert "small  version 1, 64 px, fp16" in done.stdout
    assert "licence: CC0-1.0, source: random numbers" in done.stdout


@pytest.mark.slow
def test_list_names_a_broken_model_and_goes_on(store: Path) -> None:
    (store / "broken").mkdir()
    (store / "broken" / "manifest.json").write_text("{")
    done = models("list", "--model-store", store)
    assert done.exit_code == 0
    assert "broken: NOT VALID" in done.stdout
    assert "small  version" in done.stdout


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    assert "moebius models pull" in models("list", "--model-store", tmp_path).stdout


@pytest.mark.slow
def test_verify_accepts_what_is_unchanged(store: Path) -> None:
    for arguments in ((), ("small",)):
        done = models("verify", *arguments, "--model-store", store)
        assert done.exit_code == 0
        assert "small: valid (5 files" in done.stdout


@pytest.mark.slow
def test_verify_fails_on_one_changed_byte(store: Path) -> None:
    path = store / "small" / "vae.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    done = models("verify", "--model-store", store)
    assert done.exit_code == 1
    assert "vae.safetensors has changed: expected sha256" in done.stderr


def test_verify_of_an_unknown_model_fails(tmp_path: Path) -> None:
    done = models("verify", "nothing", "--model-store", tmp_path)
    assert done.exit_code == 1
    assert "No model 'nothing'" in done.stderr


@pytest.mark.slow
def test_an_imported_model_verifies_and_can_be_exported_again(published: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    done = models("import", published, "--name", "mine", "--licence", "CC0-1.0", "--model-store", store)
    assert done.exit_code == 0, done.stderr
    manifest = verify(store / "mine")
    assert manifest.config["unet"] == UNET.to_dict()
    assert manifest.config["autoencoder"]["type"] == "autoencoder_kl"
    assert manifest.licence == "CC0-1.0"

    (store / "mine" / MODEL_CARD).write_text("# Mine")
    done = models("export", "mine", "--precision", "fp32", "--model-store", store)
    assert done.exit_code == 0, done.stderr
    exported = verify(store / "mine")
    assert exported.precision == "fp32"
    assert (exported.source, exported.licence) == (manifest.source, manifest.licence)
    assert (store / "mine" / MODEL_CARD).read_text() == "# Mine"


@pytest.mark.parametrize("broken", ["missing", "extra", "misshapen"])
def test_an_import_names_the_entry_that_does_not_fit(published: Path, tmp_path: Path, broken: str) -> None:
    name = "diff_model.conv_norm_out.weight"
    state = import_unet(published).state_dict()
    if broken == "missing":
        del state[name]
    elif broken == "extra":
        state["diff_model.surprise"] = torch.zeros(1)
    else:
        state[name] = torch.zeros(3)
    torch.save(state, published / WEIGHTS)
    done = models("import", published, "--model-store", tmp_path / "store")
    assert done.exit_code == 1
    assert ("diff_model.surprise" if broken == "extra" else name) in done.stderr
    assert not (tmp_path / "store").exists()


def test_an_import_without_an_autoencoder_names_what_is_missing(published: Path, tmp_path: Path) -> None:
    shutil.rmtree(published / "vae")
    done = models("import", published, "--model-store", tmp_path / "store")
    assert done.exit_code == 1
    assert "config.json" in done.stderr


def test_an_import_never_runs_code_of_a_pickle(published: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    torch.save({"embedding_layer.weight": Exploit(proof)}, published / WEIGHTS)
    done = models("import", published, "--model-store", tmp_path / "store")
    assert done.exit_code == 1
    assert "no readable checkpoint" in done.stderr
    assert "weights_only" not in done.stderr
    assert not proof.exists()


class Exploit:
    """What an attacker's pickle does: call something when it is read."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.proof,)
