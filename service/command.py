"""What every command of the command line shares: settings from options, errors as one line, exit statuses."""

from __future__ import annotations

import inspect
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from service.errors import ArtifactError, InpaintError
from service.exit_codes import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_USAGE
from service.settings import SECRET, Settings

PARSED_BY_TYPER = (int, float, Path)  # the rest is text that the settings parse


def with_settings_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each of these settings, with its type, meaning and default.

    The command takes them as `**options`, None where not given, for `read_settings`.
    """
    options = [_option(name) for name in names]

    def give(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        command.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
        return command

    return give


def _option(name: str) -> inspect.Parameter:
    field = Settings.model_fields[name]
    kind: Any = field.annotation if field.annotation in PARSED_BY_TYPER else str
    plain = isinstance(field.default, str | int | float) and field.default != ""
    option = typer.Option(help=field.description, show_default=str(field.default) if plain else False)
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def read_settings(options: Mapping[str, Any]) -> Settings:
    """The settings of the environment, overridden by the options given. Exits with 2 where one is wrong."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        fail(describe(error), EXIT_USAGE)
    except SettingsError as error:
        fail(f"{error}: {error.__cause__}. It must be JSON, as service/settings.py shows it.", EXIT_USAGE)


def describe(error: ValidationError) -> str:
    """The problems as text for a person: the field, what was given (unless it may be secret), what is allowed."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))} is {_shown(problem)}: {problem['msg']}"
        if problem["loc"]  # what no field has alone names its fields itself
        else problem["msg"]
        for problem in error.errors()
    )


def _shown(problem: ErrorDetails) -> str:
    return "wrong" if problem["loc"][0] in SECRET else repr(problem["input"])


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


def end_at_sigterm() -> None:
    """Exit with 0 at SIGTERM, until a service that runs has a better answer: while modules and models load, nothing is
    held. Without a handler, process 1 of a container would ignore the signal until it is killed.
    """
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))


def require_modules(*modules: str, install: str) -> None:
    """Exit with 1 where one is not installed, and say which of our extras brings it."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        fail(
            f"This needs {', '.join(missing)}, which not every part of the service does. "
            f"Install it with pip install '{install}'.",
            EXIT_ERROR,
        )


def fail(message: str, status: int) -> NoReturn:
    """Say why on stderr and exit."""
    typer.echo(f"moebius: {message}", err=True)
    raise typer.Exit(status)
