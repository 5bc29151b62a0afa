"""Reads and checks the model store: one folder a model, its manifest, and the sha256 of every file.

Owns the manifest's form. Does not make models (model/export.py) and loads no network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from service.contracts import FiniteFloat
from service.errors import ArtifactError
from service.probe import ModelShape, Probe

MANIFEST = "manifest.json"
MODEL_CARD = "MODEL_CARD.md"
UNET_WEIGHTS = "unet.safetensors"
VAE_WEIGHTS = "vae.safetensors"
UNET_GRAPH = "unet.onnx"
VAE_ENCODER_GRAPH = "vae_encoder.onnx"
VAE_DECODER_GRAPH = "vae_decoder.onnx"
TRAINING_STEPS = 1000  # of noise, as the published schedule
WEIGHT_SUFFIXES = frozenset({".bin", ".ckpt", ".data", ".onnx", ".pt", ".pth", ".safetensors"})

ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class FileRecord(BaseModel):
    """What a file must be, byte for byte."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class Parity(BaseModel):
    """How far ONNX Runtime was from PyTorch at export: norm of difference / norm, the worst of `batches`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise: float
    latents: float
    picture: float
    batches: tuple[int, ...]
    torch: str
    onnxruntime: str


class FewStepSampling(BaseModel):
    """How a network that was distilled to few steps and to one guidance scale is sampled.

    It is evaluated once at each of `timesteps`, descending, and by plain DDIM taken to the next one; the last
    predicts the clean latents. Its prediction is guided already, by `guidance_scale`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timesteps: tuple[Annotated[int, Field(ge=0, lt=TRAINING_STEPS)], ...] = Field(
        min_length=1, max_length=100
    )
    guidance_scale: FiniteFloat = Field(ge=1, le=20)

    @field_validator("timesteps")
    @classmethod
    def _descend(cls, timesteps: tuple[int, ...]) -> tuple[int, ...]:
        if any(later >= earlier for earlier, later in pairwise(timesteps)):
            raise ValueError(
                f"timesteps must descend, from the most noise to the least, got {list(timesteps)}"
            )
        return timesteps


class LatentColors(BaseModel):
    """Which colours latents stand for, nearly: RGB in [-1, 1] = `matrix` latents + `bias`, fitted by least squares to
    the mean colour of each latent cell. A preview needs no more, and no decoder. The latents are those of a window of
    `kernel` x `kernel` cells around that cell, channels outermost, then rows (latent_windows.py).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kernel: int = Field(default=1, ge=1, le=9)
    matrix: tuple[tuple[FiniteFloat, ...], ...] = Field(min_length=3, max_length=3)
    bias: tuple[FiniteFloat, FiniteFloat, FiniteFloat]

    @field_validator("kernel")
    @classmethod
    def _has_a_middle(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError("kernel must be odd: the window lies around a cell")
        return kernel

    @field_validator("matrix")
    @classmethod
    def _has_a_column_a_latent(
        cls, matrix: tuple[tuple[float, ...], ...], info: ValidationInfo
    ) -> tuple[tuple[float, ...], ...]:
        cells = info.data.get("kernel", 1) ** 2
        if len({len(row) for row in matrix}) != 1 or len(matrix[0]) % cells:
            raise ValueError(
                "matrix must have three rows of one length, a column for each latent channel of each cell of the window"
            )
        return matrix


class Manifest(BaseModel):
    """All that is known of a model. `config` holds what the networks are built from; `precision` is that of
    the stored weights; `image_size` is in pixels; `sampling` is None where a request chooses its steps. Without
    `latent_colors` there are no previews.

    A field that a reader does not know is refused: a few-step model must not be run as an ordinary one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ModelName
    version: str
    architecture: str
    config: dict[Literal["unet", "autoencoder"], dict[str, Any]]
    image_size: int = Field(gt=0)
    latent_downscale: int = Field(gt=0)
    prediction_type: Literal["epsilon", "v_prediction"]
    precision: Literal["fp16", "fp32"]
    sampling: FewStepSampling | None = None
    latent_colors: LatentColors | None = None
    files: dict[str, FileRecord]
    parity: Parity
    probe: Probe
    source: str
    licence: str
    created: datetime

    @field_validator("files")
    @classmethod
    def _stay_in_the_folder(cls, files: dict[str, FileRecord]) -> dict[str, FileRecord]:
        for name in files:
            if name in {"", ".", ".."} or "/" in name or "\\" in name or "\0" in name:
                raise ValueError(f"{name!r} is not a plain file name: a model's files lie in its own folder")
        return files

    @property
    def shape(self) -> ModelShape:
        """The shapes that a backend needs before it has loaded anything."""
        unet = self.config["unet"]
        return ModelShape(
            image_size=self.image_size,
            latent_downscale=self.latent_downscale,
            in_channels=unet["in_channels"],
            latent_channels=unet["out_channels"],
        )

    @property
    def digest(self) -> str:
        """One sha256 for the whole model: that of its files' names and digests."""
        lines = [f"{record.sha256}  {name}\n" for name, record in sorted(self.files.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def save_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest into its folder. What older readers do not know is written only where there is one."""
    absent = {name for name in ("sampling", "latent_colors") if getattr(manifest, name) is None}
    text = manifest.model_dump_json(indent=2, exclude=absent)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def load_manifest(folder: Path) -> Manifest:
    """Read a model's manifest; its files are not looked at. `ArtifactError` if there is none or it is not
    valid.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(
            f"There is no model in {folder}: {MANIFEST} is missing. See what is there with `moebius models "
            "list`, fetch one with `moebius models pull` or `moebius models import`."
        ) from None
    except OSError as error:
        raise ArtifactError(
            f"{path} can't be read: {error.strerror}. Check the folder's permissions."
        ) from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ArtifactError(
            f"{path} is not a valid manifest: {faults}. Export or import the model again."
        ) from error


def verify(folder: Path) -> Manifest:
    """Read a model's manifest and every byte of its files.

    `ArtifactError` names the first file that is missing, changed, outside the folder, or weights that no one
    listed, and what to do about it.
    """
    manifest = load_manifest(folder)
    for name, record in manifest.files.items():
        _verify_file(folder, name, record)
    unlisted = sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix in WEIGHT_SUFFIXES and path.name not in manifest.files
    )
    if unlisted:
        raise ArtifactError(
            f"{folder} holds {', '.join(unlisted)}, which {MANIFEST} does not list. Remove what does not "
            "belong to the model, or export it again."
        )
    return manifest


def record_file(path: Path) -> FileRecord:
    """The size and sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(sha256=digest, bytes=path.stat().st_size)


def model_folder(store: Path, name: str) -> Path:
    """The folder of a model in the store. `ArtifactError` if the store has none of that name."""
    folders = {folder.name: folder for folder in model_folders(store)}
    if name not in folders:
        raise ArtifactError(
            f"No model {name!r} in {store}; there are: {_listed(folders)}. See `moebius models --help`."
        )
    return folders[name]


def model_folders(store: Path) -> list[Path]:
    """The folders of a store that hold a manifest, valid or not, by name; hidden ones are drafts of an export."""
    return sorted(path.parent for path in store.glob(f"[!.]*/{MANIFEST}"))


def _verify_file(folder: Path, name: str, record: FileRecord) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ArtifactError(
            f"{path} leads out of the model's folder, to {path.resolve()}. Put the file itself there."
        )
    try:
        found = record_file(path)
    except OSError as error:
        raise ArtifactError(
            f"{path} can't be read: {error.strerror}. The manifest lists it: fetch or export the model again."
        ) from error
    if found != record:
        raise ArtifactError(
            f"{path} has changed: expected sha256 {record.sha256} ({record.bytes} bytes), "
            f"found {found.sha256} ({found.bytes} bytes). It is not used: fetch or export the model again."
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
