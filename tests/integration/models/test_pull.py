"""`moebius models pull`: the published files come from a server that speaks the hub's download paths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.artifacts import verify
from service.engine.selection import open_engine
from service.settings import Settings
from tests.integration.models.hub_server import COMMIT, serve_hub
from tests.integration.models.published import write_small_unet, write_vae
from tests.small_model import UNET


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """The repositories as published, with a small network as one of the variants."""
    root = tmp_path / "hub"
    write_small_unet(root / "hustvl/Moebius/ft_places2")
    write_vae(root / "hustvl/PixelHacker/vae")
    (root / "hustvl/PixelHacker/README.md").write_text("# No licence is stated here\n")
    (root / "hustvl/Moebius/README.md").write_text("---\nlicense: apache-2.0\n---\n# Moebius\n")
    return root


def pull(name: str, endpoint: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: the hub's client reads its environment once."""
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "service.cli", "models", "pull", name]
    return subprocess.run(
        [*command, "--model-store", str(tmp_path / "store")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_published_model_is_fetched_imported_verified_and_served(hub: Path, tmp_path: Path) -> None:
    with serve_hub(hub) as endpoint:
        done = pull("moebius-places2", endpoint, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Licence: apache-2.0 (model card of hustvl/Moebius); autoencoder: not stated" in done.stdout
    manifest = verify(tmp_path / "store" / "moebius-places2")
    assert manifest.config["unet"] == UNET.to_dict()
    assert manifest.image_size == 64
    assert manifest.licence.startswith("apache-2.0")
    assert f"hustvl/Moebius/ft_places2 at {COMMIT}" in manifest.source
    settings = Settings(
        model_store=tmp_path / "store", model="moebius-places2", backend="onnxruntime", device="cpu"
    )
    open_engine(settings).close()


def test_offline_the_user_is_told_what_to_do(tmp_path: Path) -> None:
    done = pull("moebius-pretrained", "http://127.0.0.1:9", tmp_path)
    assert done.returncode == 1
    assert "the hub does not answer" in done.stderr
    assert "HF_ENDPOINT" in done.stderr
    assert "moebius models import" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_variant_that_the_hub_does_not_have_is_named(hub: Path, tmp_path: Path) -> None:
    with serve_hub(hub) as endpoint:
        done = pull("moebius-ffhq", endpoint, tmp_path)
    assert done.returncode == 1
    assert "hustvl/Moebius has no ft_ffhq/diffusion_pytorch_model.bin" in done.stderr


def test_a_file_that_is_not_what_the_hub_announced_is_refused(hub: Path, tmp_path: Path) -> None:
    with serve_hub(hub, damaged=frozenset({"ft_places2"})) as endpoint:
        done = pull("moebius-places2", endpoint, tmp_path)
    assert done.returncode == 1
    assert "is damaged: the hub announced sha256" in done.stderr
    assert not (tmp_path / "store").exists()


def test_an_unknown_name_is_answered_with_the_published_ones(tmp_path: Path) -> None:
    done = pull("moebius-huge", "http://127.0.0.1:9", tmp_path)
    assert done.returncode == 1
    assert "there are: moebius-pretrained, moebius-places2, moebius-celebahq, moebius-ffhq" in done.stderr


def test_what_was_fetched_once_needs_no_network(hub: Path, tmp_path: Path) -> None:
    (hub / "hustvl/Moebius/ft_places2/diffusion_pytorch_model.bin").write_bytes(b"not a state dict")
    with serve_hub(hub) as endpoint:
        fetched = pull("moebius-places2", endpoint, tmp_path)
    offline = pull("moebius-places2", endpoint, tmp_path)
    for done in (fetched, offline):
        assert done.returncode == 1
        assert "no readable checkpoint" in done.stderr
    assert not (tmp_path / "store").exists()
