"""Fetches the published weights from the Hugging Face hub, or a mirror that HF_ENDPOINT names, into its local
cache.

Owns which repository holds what. Reads no weights: that is the import's work (model/published.py).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCard, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from service.artifacts import record_file
from service.errors import ArtifactError

WEIGHTS_FILE = "diffusion_pytorch_model.bin"
CONFIG_FILE = "config.json"
CARD_FILE = "README.md"
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Repository:
    """A folder of a repository on the hub."""

    repo: str
    folder: str


VAE = Repository("hustvl/PixelHacker", "vae")
PUBLISHED = {
    "moebius-pretrained": Repository("hustvl/Moebius", "pretrained"),
    "moebius-places2": Repository("hustvl/Moebius", "ft_places2"),
    "moebius-celebahq": Repository("hustvl/Moebius", "ft_celebahq"),
    "moebius-ffhq": Repository("hustvl/Moebius", "ft_ffhq"),
}


@dataclass(frozen=True, slots=True)
class Download:
    """A model as published, on this disk. `source` names the revision, `licence` what its card states."""

    unet: Path
    vae: Path
    source: str
    licence: str


def download(name: str, *, revision: str = "main") -> Download:
    """Fetch one of `PUBLISHED` and the autoencoder that they share; what is in the cache is not fetched
    again.

    `ArtifactError` if there is no such name, the hub can't be reached or what came is not what it announced.
    """
    if name not in PUBLISHED:
        raise ArtifactError(f"No published model is called {name!r}; there are: {', '.join(PUBLISHED)}.")
    published = PUBLISHED[name]
    weights = _fetch(published, WEIGHTS_FILE, revision)
    vae = _fetch(VAE, WEIGHTS_FILE, "main").parent
    _fetch(VAE, CONFIG_FILE, "main")
    return Download(
        unet=weights.parent,
        vae=vae,
        source=f"Hugging Face: {_origin(published, weights)}; autoencoder {_origin(VAE, vae / WEIGHTS_FILE)}",
        licence=f"{_licence(published.repo, revision)}; autoencoder: {_licence(VAE.repo, 'main')}",
    )


def _fetch(repository: Repository, filename: str, revision: str) -> Path:
    path = _download(repository.repo, f"{repository.folder}/{filename}", revision)
    if path is None:
        raise ArtifactError(
            f"{repository.repo} has no {repository.folder}/{filename} at revision {revision}. "
            "Check --revision, and HF_ENDPOINT if it is set."
        )
    announced = path.resolve().name  # the cache names a file by its ETag: for large files, the sha256
    found = record_file(path).sha256
    if SHA256.fullmatch(announced) and found != announced:
        raise ArtifactError(
            f"{filename} of {repository.repo} is damaged: the hub announced sha256 {announced}, {found} "
            "came. "
            f"Remove {path.resolve()} and pull again."
        )
    return path


def _download(repo: str, filename: str, revision: str) -> Path | None:
    """A file of the local cache, fetched if it is not there; None if the repository has none of that name."""
    by_hand = "download the files elsewhere and use `moebius models import DIR --vae DIR`"
    with suppress(EntryNotFoundError):  # what is on this disk needs no network
        return Path(hf_hub_download(repo, filename, revision=revision, local_files_only=True))
    try:
        return Path(hf_hub_download(repo, filename, revision=revision))
    except LocalEntryNotFoundError as error:
        raise ArtifactError(
            f"{repo}/{filename} can't be fetched: the hub does not answer, and the file is not in the local "
            f"cache. Check the network, let HF_ENDPOINT name a mirror, or {by_hand}."
        ) from error
    except EntryNotFoundError:
        return None
    except Exception as error:  # of whichever HTTP library this version of the client is built on
        raise ArtifactError(
            f"{repo}/{filename} can't be fetched: {error}. Try again later, or {by_hand}."
        ) from error


def _licence(repo: str, revision: str) -> str:
    """What the model card states. Neither a repository without a card nor a card out of reach stops an import."""
    try:
        path = _download(repo, CARD_FILE, revision)
    except ArtifactError:
        return f"not known (the model card of {repo} can't be fetched)"
    data = ModelCard.load(path, ignore_metadata_errors=True).data if path else None
    licence = data and (data.get("license_name") or data.get("license"))
    return f"{licence or 'not stated'} (model card of {repo})"


def _origin(repository: Repository, weights: Path) -> str:
    """Repository, folder and commit: the cache's folder of a revision is named by it."""
    commit = weights.parent.parent.name
    return f"{repository.repo}/{repository.folder} at {commit}"
