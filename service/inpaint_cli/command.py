"""The command's arguments, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from service.command import fail, read_settings, reported_errors, require_modules
from service.contracts import Params, Priority
from service.errors import InpaintError
from service.exit_codes import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_SOME_FAILED, EXIT_USAGE
from service.inpaint_cli.folder import Folder
from service.inpaint_cli.parameter_options import read_params, with_parameter_options
from service.inpaint_cli.plan import folder_plan, single_task
from service.inpaint_cli.report import Report
from service.inpaint_cli.task import Outcome, Task

EXAMPLES = """Examples

One photo, and four candidates of it:
  moebius inpaint photo.jpg mask.png -o filled.jpg
  moebius inpaint photo.jpg mask.png -o filled.png --n 4 --seed 7

A folder with a folder of masks, with one mask for all,
and with masks beside the photos (cat.jpg, cat_mask.png):
  moebius inpaint photos/ masks/ -o filled/
  moebius inpaint photos/ logo-mask.png -o filled/
  moebius inpaint photos/ -o filled/

By a service, and told of to another program:
  moebius inpaint photos/ masks/ -o filled/ --server http://gpu:8080
  moebius inpaint photos/ masks/ -o filled/ --json > filled.jsonl

Exit status: 0 all done, 1 it could not be done, 2 wrong usage,
3 some photos of a folder failed, 130 interrupted. The same command
again does what is left."""


HERE = "Without a service"
THERE = "Of a service (--server)"
FOLDERS = "Folders"


@with_parameter_options
def inpaint(
    image: Annotated[Path, typer.Argument(help="The photo, or a folder of photos.", metavar="IN")],
    mask: Annotated[
        Path | None,
        typer.Argument(
            help="The mask; what is white is filled. For a folder: one mask for all, or a folder with masks of the "
            "photos' names. Left out: NAME_mask beside each photo.",
            metavar="MASK",
            show_default=False,
        ),
    ] = None,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Where to write; a file's suffix says the format, in a folder each keeps its own.",
        ),
    ],
    effective_mask: Annotated[
        Path | None,
        typer.Option(
            help="Also write which pixels may have changed, as a gray PNG: 255 is the fill alone, 0 untouched. For a "
            "folder: a folder, with one of each photo's name.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Tell of each photo as a JSON object in a line of stdout.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Folders in IN, too.", rich_help_panel=FOLDERS)
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Fill again what is in OUT already.", rich_help_panel=FOLDERS),
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(
            help="Its address: http://host:port, or grpc://host:port. Its key is read from MOEBIUS_KEY.",
            show_default=False,
            rich_help_panel=THERE,
        ),
    ] = None,
    parallel: Annotated[
        int, typer.Option(min=1, max=256, help="Photos under way at a time.", rich_help_panel=THERE)
    ] = 4,
    model_store: Annotated[
        Path | None, typer.Option(help="Folder with one folder a model.", rich_help_panel=HERE)
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="auto, onnxruntime, torch or dummy.", rich_help_panel=HERE)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=HERE)
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, fp32, fp16 or bf16.", rich_help_panel=HERE)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads; 0: all cores.", rich_help_panel=HERE)
    ] = None,
    **parameters: str | None,
) -> None:
    """Fill the hole of a photo, or of each photo of a folder, here or by a service. Candidates (--n) get their seed
    in the name.

    A folder's photos keep their formats; what is in OUT already is skipped.
    A photo that fails is told, and the rest goes on.
    """
    params = read_params(parameters, queued=server is not None)
    if effective_mask is not None:
        params = params.model_copy(update={"effective_mask": True})
    engine = {
        "model_store": model_store,
        "backend": backend,
        "device": device,
        "precision": precision,
        "threads": threads,
    }
    if server is not None:
        _check_server(server)
        _refuse_engine_options(engine)
    with reported_errors():
        if image.is_dir():
            folder = Folder(image, mask, output, recursive, effective_mask)
            plan = folder_plan(folder, overwrite, _for_folder(params, server))
        else:
            plan = [single_task(image, mask, output, effective_mask, params)]
        report = Report(len(plan), alone=not image.is_dir(), as_json=as_json)
        _fill(plan, report, server, parallel, engine | {"model": params.model})


def _refuse_engine_options(engine: dict[str, Any]) -> None:
    given = [name for name, value in engine.items() if value is not None]
    if given:
        option = given[0].replace("_", "-")
        fail(
            f"--{option} is for filling photos here, and --server has them filled there. Leave one out.",
            EXIT_USAGE,
        )


def _check_server(server: str) -> None:
    from moebius_client.address import address_of
    from moebius_client.errors import InvalidInput

    try:
        is_grpc = address_of(server, None, network_timeout=1).is_grpc
    except InvalidInput as error:
        fail(str(error), EXIT_USAGE)
    if not is_grpc:
        require_modules("httpx", "httpx_sse", install="moebius[client]")


def _for_folder(params: Params, server: str | None) -> Params:
    """Nobody sits before a folder's photos: they let others go first, unless told not to."""
    if server is None or "priority" in params.model_fields_set:
        return params
    return params.model_copy(update={"priority": Priority.BATCH})


def _fill(
    plan: Sequence[Task | Outcome], report: Report, server: str | None, parallel: int, engine: dict[str, Any]
) -> None:
    """Exits with another status than 0 where not all could be done."""
    for outcome in plan:
        if isinstance(outcome, Outcome):
            report.tell(outcome)
    tasks = [task for task in plan if isinstance(task, Task)]
    try:
        with report.bar():
            if tasks:
                _fill_tasks(tasks, report, server, parallel, engine)
    except KeyboardInterrupt:
        report.sum_up(interrupted=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except InpaintError as error:
        report.sum_up()
        fail(error.detail, EXIT_ERROR)
    report.sum_up()
    if report.any_failed:
        raise typer.Exit(EXIT_ERROR if report.alone else EXIT_SOME_FAILED)


def _fill_tasks(
    tasks: Sequence[Task], report: Report, server: str | None, parallel: int, engine: dict[str, Any]
) -> None:
    if server is None:
        from service.inpaint_cli.here import fill_here

        fill_here(read_settings(engine), tasks, report)
        return
    from service.inpaint_cli.there import fill_there

    fill_there(server, tasks, report, parallel=parallel)
