"""`moebius models ...`: what is in the model store, and how models come into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.command import fail, read_settings, require_modules
from service.errors import ArtifactError, InpaintError
from service.exit_codes import EXIT_ERROR

if TYPE_CHECKING:
    from service.artifacts import Manifest

MEGABYTE = 1_000_000

models_app = typer.Typer(help="List, verify, fetch, import and export models.", no_args_is_help=True)

Precision = Literal["fp16", "fp32"]
ModelStore = Annotated[Path | None, typer.Option(help="Folder with one folder a model.")]
StoredPrecision = Annotated[Precision, typer.Option(help="Precision that weights are stored in.")]


@models_app.command("list")
def list_command(model_store: ModelStore = None) -> None:
    """List the models of the store; a broken one is named with its fault."""
    from service.artifacts import model_folders

    store = _store(model_store)
    folders = model_folders(store)
    if not folders:
        typer.echo(f"No models in {store}. Fetch one with `moebius models pull NAME`.")
    for folder in folders:
        typer.echo(_describe(folder))


@models_app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="One model; left out, all of them.")] = None,
    model_store: ModelStore = None,
) -> None:
    """Compare every byte with the manifests. The exit status is 1 if anything is wrong."""
    from service import artifacts

    store = _store(model_store)
    with _reported_errors():
        folders = artifacts.model_folders(store) if name is None else [artifacts.model_folder(store, name)]
    faults = [fault for folder in folders if (fault := _verify_one(folder, artifacts.verify)) is not None]
    if not folders:
        fail(f"There are no models in {store}.", EXIT_ERROR)
    if faults:
        fail(f"{len(faults)} of {len(folders)} models are not valid.", EXIT_ERROR)


@models_app.command("import")
def import_command(
    folder: Annotated[Path, typer.Argument(help="Folder with the U-Net's diffusion_pytorch_model.bin.")],
    vae: Annotated[
        Path | None, typer.Option(help="Folder with the VAE's config.json and weights; default: FOLDER/vae.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name in the store; default: the folder's.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "not stated",
    source: Annotated[str | None, typer.Option(help="Where they come from; default: the folder.")] = None,
    precision: StoredPrecision = "fp16",
    model_store: ModelStore = None,
) -> None:
    """Import a model of the published layout into the store."""
    model = name or folder.resolve().name
    with _reported_errors():
        _import(
            folder,
            vae or folder / "vae",
            _store(model_store) / model,
            name=model,
            licence=licence,
            source=source or f"imported from the folder {folder.resolve().name}",
            precision=precision,
        )


@models_app.command()
def pull(
    name: Annotated[
        str,
        typer.Argument(help="moebius-pretrained, moebius-places2, moebius-celebahq or moebius-ffhq."),
    ],
    revision: Annotated[
        str, typer.Option(help="Branch, tag or commit of the published repository.")
    ] = "main",
    precision: StoredPrecision = "fp16",
    model_store: ModelStore = None,
) -> None:
    """Fetch a published model from the Hugging Face hub (or the mirror in HF_ENDPOINT) and import it."""
    _require_torch("huggingface_hub")
    from service.hub import download

    with _reported_errors():
        typer.echo(f"Fetching {name} ...")
        fetched = download(name, revision=revision)
        typer.echo(f"Licence: {fetched.licence}")
        _import(
            fetched.unet,
            fetched.vae,
            _store(model_store) / name,
            name=name,
            licence=fetched.licence,
            source=fetched.source,
            precision=precision,
        )


@models_app.command()
def export(
    name: Annotated[str, typer.Argument(help="A model of the store.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write; default: the model's own.")
    ] = None,
    precision: StoredPrecision = "fp16",
    model_store: ModelStore = None,
) -> None:
    """Write a model's ONNX graphs anew from its safetensors, with a fresh parity report."""
    from service.artifacts import model_folder
    from service.artifacts import verify as verified

    with _reported_errors():
        folder = model_folder(_store(model_store), name)
        manifest = verified(folder)
        _require_torch()
        from service.engine.torch import load_networks
        from service.model.export import export_model

        unet, autoencoder = load_networks(folder, manifest)
        exported = export_model(
            unet,
            autoencoder,
            output or folder,
            name=output.name if output else name,
            source=manifest.source,
            licence=manifest.licence,
            prediction_type=manifest.prediction_type,
            sampling=manifest.sampling,
            latent_colors=manifest.latent_colors,
            precision=precision,
            version=manifest.version,
        )
    _report(exported, output or folder)


def _import(
    unet_folder: Path,
    vae_folder: Path,
    folder: Path,
    *,
    name: str,
    licence: str,
    source: str,
    precision: Precision,
) -> None:
    _require_torch()
    from service.model.export import export_model
    from service.model.registry import import_autoencoder, import_unet

    try:
        unet, autoencoder = import_unet(unet_folder), import_autoencoder(vae_folder)
    except ValueError as error:
        raise ArtifactError(f"{error}. Check that the folders are those of the published layout.") from error
    typer.echo("Exporting; this takes minutes ...")
    manifest = export_model(
        unet, autoencoder, folder, name=name, source=source, licence=licence, precision=precision
    )
    _report(manifest, folder)


def _report(manifest: Manifest, folder: Path) -> None:
    parity = manifest.parity
    typer.echo(
        f"{manifest.name} is in {folder} ({_megabytes(manifest)}). ONNX Runtime against PyTorch: noise "
        f"{parity.noise:.1e}, latents {parity.latents:.1e}, picture {parity.picture:.1e} relative."
    )


def _describe(folder: Path) -> str:
    from service.artifacts import load_manifest

    try:
        manifest = load_manifest(folder)
    except InpaintError as error:
        return f"{folder.name}: NOT VALID: {error.detail}"
    size = f"{manifest.image_size} px"
    return (
        f"{manifest.name}  version {manifest.version}, {size}, {manifest.precision}, {_megabytes(manifest)}, "
        f"licence: {manifest.licence}, source: {manifest.source}"
    )


def _verify_one(folder: Path, verified: Callable[[Path], Manifest]) -> str | None:
    """Say how one model is; its fault, or None."""
    try:
        manifest = verified(folder)
    except InpaintError as error:
        typer.echo(f"{folder.name}: NOT VALID: {error.detail}", err=True)
        return error.detail
    typer.echo(f"{folder.name}: valid ({len(manifest.files)} files, {_megabytes(manifest)})")
    return None


def _megabytes(manifest: Manifest) -> str:
    return f"{sum(record.bytes for record in manifest.files.values()) / MEGABYTE:.1f} MB"


def _store(model_store: Path | None) -> Path:
    return read_settings({"model_store": model_store}).model_store


def _require_torch(*others: str) -> None:
    modules = ("torch", "onnx", "onnxscript", "onnxruntime", *others)
    require_modules(*modules, install="moebius[cpu,export]")


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Like the other commands' errors, with one exit status: no supervisor restarts what runs here."""
    try:
        yield
    except InpaintError as error:
        fail(error.detail, EXIT_ERROR)
    except OSError as error:
        fail(str(error), EXIT_ERROR)
