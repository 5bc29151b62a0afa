"""What the stages of one command read that must be there before the first of them starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

# Settings that name what a stage writes.
WRITTEN = ("output", "store")
PATTERN_CHARACTERS = "*?[{"


def missing_inputs(stages: Sequence[tuple[str, Any]]) -> list[str]:
    """Every path of the stages' recipes, as "job.setting: path", that neither exists nor lies in what an earlier stage
    writes. Patterns of several files are left to the stage.
    """
    written: list[Path] = []
    missing = []
    for job, recipe in stages:
        paths = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
        paths = {name: value for name, value in paths.items() if isinstance(value, Path)}
        for name, path in paths.items():
            made = any(path.is_relative_to(folder) for folder in written)
            if name not in WRITTEN and not made and not _is_there(path):
                missing.append(f"{job}.{name}: {path}")
        written += [path for name, path in paths.items() if name in WRITTEN]
    return missing


def _is_there(path: Path) -> bool:
    return path.exists() or any(character in str(path) for character in PATTERN_CHARACTERS)
