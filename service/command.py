"""What every command of the command line shares: settings from options, errors as one line, exit statuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from pydantic import ValidationError

from service.errors import ArtifactError, InpaintError
from service.exit_codes import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_USAGE

if TYPE_CHECKING:
    from service.settings import Settings


def read_settings(options: Mapping[str, Any]) -> Settings:
    """The settings of the environment, overridden by the options given. Exits with 2 where one is wrong."""
    from service.settings import Settings

    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        fail(describe(error), EXIT_USAGE)


def describe(error: ValidationError) -> str:
    """The problems as text for a person: the field, what was given, what is allowed."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))} is {problem['input']!r}: {problem['msg']}"
        if problem["loc"]  # what no field has alone names its fields itself
        else problem["msg"]
        for problem in error.errors()
    )


@contextmanager
def reported_errors(*, bad_model: int = EXIT_ERROR) -> Iterator[None]:
    """Turn what a user may be told into a line on stderr and an exit status; `bad_model` is that of a model
    that can't be loaded.
    """
    try:
        yield
    except ArtifactError as error:
        fail(error.detail, bad_model)
    except InpaintError as error:
        fail(error.detail, EXIT_ERROR)
    except OSError as error:
        fail(str(error), EXIT_ERROR)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None


def fail(message: str, status: int) -> NoReturn:
    """Say why on stderr and exit."""
    typer.echo(f"moebius: {message}", err=True)
    raise typer.Exit(status)
