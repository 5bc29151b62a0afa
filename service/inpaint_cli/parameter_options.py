"""An option for each field of `contracts.Params`: the command line can't drift from the interfaces."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Callable, Mapping
from typing import Annotated

import typer
from pydantic import ValidationError

from service.command import describe, fail
from service.contracts import Params
from service.exit_codes import EXIT_USAGE

QUEUE_PARAMETERS = ("priority", "timeout")  # mean nothing without a queue
OF_OTHERS = ("preview", "effective_mask")  # the one is seen in events alone, the other is asked for by a path


def with_parameter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` a text option for each parameter; `Params` converts and checks, as for form fields."""
    signature = inspect.signature(command, eval_str=True)
    options = [_option(name) for name in Params.model_fields if name not in OF_OTHERS]
    kept = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    command.__signature__ = signature.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    return command


def _option(name: str) -> inspect.Parameter:
    panel = "Of a service (--server)" if name in QUEUE_PARAMETERS else "How holes are filled"
    option = typer.Option(
        help=Params.model_fields[name].description, show_default=False, rich_help_panel=panel
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option]
    )


def read_params(options: Mapping[str, str | None], *, queued: bool) -> Params:
    """The parameters given; `queued`: a service takes them. Exits with 2 where one is wrong."""
    given = {name: value for name, value in options.items() if value is not None}
    alone = [name for name in QUEUE_PARAMETERS if name in given and not queued]
    if alone:
        fail(f"--{alone[0]} is for a service's queue: it needs --server, or leave it out.", EXIT_USAGE)
    try:
        return Params.model_validate(given)
    except ValidationError as error:
        fail(describe(error), EXIT_USAGE)


def with_seed(params: Params) -> Params:
    """The parameters with a seed, a random one where none was given."""
    if params.seed is not None:
        return params
    return params.model_copy(update={"seed": secrets.randbelow(params.largest_seed + 1)})
