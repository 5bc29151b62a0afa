"""`moebius inpaint`: one picture filled in this process, with no queue and no server.

Its parameter options are those of `contracts.Params`: the command line can't drift from the interfaces.
"""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from service.command import describe, fail, read_settings, reported_errors
from service.contracts import OutputFormat, Params, Result
from service.exit_codes import EXIT_ERROR, EXIT_USAGE

if TYPE_CHECKING:
    from service.settings import Settings

QUEUE_PARAMETERS = frozenset(
    {"priority", "timeout", "preview", "effective_mask"}
)  # of a service's answers alone
SUFFIX_FORMATS = {
    ".png": OutputFormat.PNG,
    ".jpg": OutputFormat.JPEG,
    ".jpeg": OutputFormat.JPEG,
    ".webp": OutputFormat.WEBP,
}


def with_parameter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` a text option for each parameter; `Params` converts and checks, as for form fields."""
    signature = inspect.signature(command, eval_str=True)
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, typer.Option(help=field.description, show_default=False)],
        )
        for name, field in Params.model_fields.items()
        if name not in QUEUE_PARAMETERS
    ]
    kept = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    command.__signature__ = signature.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    return command


@with_parameter_options
def inpaint(
    image: Annotated[Path, typer.Argument(help="The photo.", metavar="IN")],
    mask: Annotated[Path, typer.Argument(help="The mask; what is white is filled.", metavar="MASK")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write; its suffix says the format.")
    ],
    model_store: Annotated[Path | None, typer.Option(help="Folder with one folder a model.")] = None,
    backend: Annotated[str | None, typer.Option(help="auto, onnxruntime, torch or dummy.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32, fp16 or bf16.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; 0: all cores.")] = None,
    **parameters: str | None,
) -> None:
    """Fill the hole of one photo here, without a server. Candidates (--n) get their seed in the name."""
    output = output / image.name if output.is_dir() else output
    _check_suffix(image, output)
    params = _read_params(parameters, output)
    settings = read_settings(
        {
            "model_store": model_store,
            "backend": backend,
            "device": device,
            "precision": precision,
            "threads": threads,
            "model": params.model,
        }
    )
    with reported_errors():
        photo, hole = _read_file(image, "photo"), _read_file(mask, "mask")
        result = _fill(settings, photo, hole, params)
        for path in _write(result, output):
            typer.echo(f"wrote {path}")
    _report(result)


def _check_suffix(image: Path, output: Path) -> None:
    """A format that can't be asked for is written only where it is the photo's own."""
    suffix = output.suffix.lower()
    if suffix and suffix not in SUFFIX_FORMATS and suffix != image.suffix.lower():
        allowed = ", ".join(dict.fromkeys([*SUFFIX_FORMATS, image.suffix.lower()]))
        fail(f"{output.name} ends with {suffix}; allowed for this photo: {allowed}.", EXIT_USAGE)


def _read_params(options: dict[str, str | None], output: Path) -> Params:
    given = {name: value for name, value in options.items() if value is not None}
    try:
        params = Params.model_validate(given)
    except ValidationError as error:
        fail(describe(error), EXIT_USAGE)
    changes: dict[str, Any] = {}
    if params.seed is None:
        changes["seed"] = secrets.randbelow(params.largest_seed + 1)
    if params.output_format is None:
        changes["output_format"] = SUFFIX_FORMATS.get(output.suffix.lower())
    return params.model_copy(update=changes)


def _read_file(path: Path, role: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fail(f"The {role} can't be read: {error}", EXIT_ERROR)


def _fill(settings: Settings, photo: bytes, hole: bytes, params: Params) -> Result:
    from service.engine.selection import open_engine
    from service.worker.fill import fill_picture

    engine = open_engine(settings)
    try:
        with _progress() as on_step:
            return fill_picture(engine, photo, hole, params, max_pixels=settings.max_pixels, on_step=on_step)
    finally:
        engine.close()


@contextmanager
def _progress() -> Iterator[Callable[[int, int, float], None]]:
    """A bar on stderr that fills with the steps; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("denoising", total=None)

        def on_step(done: int, total: int, _seconds: float) -> None:
            bar.update(task, completed=done, total=total)

        yield on_step


def _write(result: Result, output: Path) -> list[Path]:
    paths = [output]
    if len(result.pictures) > 1:
        paths = [output.with_stem(f"{output.stem}-{seed}") for seed in result.seeds]
    for path, picture in zip(paths, result.pictures, strict=True):
        path.write_bytes(picture)
    return paths


def _report(result: Result) -> None:
    stages = "  ".join(f"{stage} {seconds:.2f} s" for stage, seconds in result.stages.items())
    typer.echo(f"model {result.model}  seed {', '.join(map(str, result.seeds))}  crops {len(result.boxes)}")
    typer.echo(f"{stages}  total {sum(result.stages.values()):.2f} s")
    for note in result.notes:
        typer.echo(f"note: {note}")
