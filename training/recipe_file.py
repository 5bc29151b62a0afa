"""Recipe files: YAML with one section a job, read into the job's dataclass."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from training.errors import RecipeError

Recipe = TypeVar("Recipe")


def read_recipe(path: Path, section: str, kind: type[Recipe]) -> Recipe:
    """The recipe's section as its dataclass; values are converted to the fields' types.

    Raises RecipeError for a file that can't be read, a missing section, an unknown or missing setting, and a value
    that is not of its setting's type.
    """
    values = _section(path, section)
    known = {field.name: field for field in fields(kind) if field.init}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(known)):
        raise RecipeError(
            f"{path}: unknown settings in '{section}': {', '.join(unknown)}; it knows {', '.join(sorted(known))}"
        )
    needed = {name for name, field in known.items() if field.default is field.default_factory is MISSING}
    if missing := sorted(needed - set(values)):
        raise RecipeError(f"{path}: settings missing from '{section}': {', '.join(missing)}")
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise RecipeError(f"{path}: '{section}': {_described(error)}") from error


def read_stages(path: Path, job: str) -> list[str]:
    """The jobs that `job` stands for in a recipe file, in order: itself alone, unless the section `stages` says more.

    Raises RecipeError for a file that can't be read and for stages that are no list of names.
    """
    stages = _sections(path).get("stages", {})
    named = stages.get(job, [job]) if isinstance(stages, dict) else None
    if not isinstance(named, list) or not named or not all(isinstance(name, str) for name in named):
        raise RecipeError(
            f"{path}: 'stages' must map a job to a list of jobs, like `{job}: [latents, {job}]`"
        )
    return named


def _section(path: Path, section: str) -> dict[str, Any]:
    recipe = _sections(path)
    if not isinstance(recipe.get(section), dict):
        raise RecipeError(f"{path} has no section '{section}'; its sections: {', '.join(recipe) or 'none'}")
    return dict(recipe[section])


def _sections(path: Path) -> dict[str, Any]:
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"{path} can't be read: {error.strerror}; recipes are in training/recipes/"
        ) from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return recipe if isinstance(recipe, dict) else {}


def _described(error: ValidationError) -> str:
    """Every fault with the setting it is in, on one line."""
    faults = []
    for fault in error.errors():
        name = ".".join(map(str, fault["loc"]))
        given = f", not {fault['input']!r}" if name else ""
        faults.append(f"{name}: {fault['msg']}{given}".removeprefix(": ").removeprefix("Value error, "))
    return "; ".join(faults)
