"""docs/reference/settings.md from service/settings.py: each variable with its values, default and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from scripts.reference.tables import code, table, words
from service.settings import Settings

BEGINNING = """# Settings

Every setting is an environment variable. Those that a command of `moebius` lists in its `--help` are its options, too,
named without the prefix: `MOEBIUS_MAX_BATCH` is `--max-batch`. An option goes before the variable. A value that can't
be is refused at the start, with what is allowed.

"""
KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "object": "JSON object",
    "array": "JSON list",
}


def page() -> str:
    """The page."""
    prefix = Settings.model_config.get("env_prefix", "")
    schema = Settings.model_json_schema()
    rows = [
        (
            code(f"{prefix}{name}".upper()),
            allowed(schema["properties"][name]),
            default(name, field),
            words(field.description or ""),
        )
        for name, field in Settings.model_fields.items()
    ]
    return BEGINNING + table(("variable", "values", "default", "meaning, and unit"), rows)


def allowed(schema: Mapping[str, Any]) -> str:
    """What a setting may be, by its JSON schema."""
    (schema,) = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    if "enum" in schema:
        return ", ".join(code(str(value)) for value in schema["enum"])
    if schema.get("format") == "path":
        return "path"
    return KINDS[schema["type"]] + limits(schema)


def limits(schema: Mapping[str, Any]) -> str:
    """The range of a number."""
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    if least is not None:
        return f", {least} or more"
    above = f", above {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else ""
    return above + (f", at most {most}" if most is not None else "")


def default(name: str, field: FieldInfo) -> str:
    """The default as it is typed; a folder below the home of whoever asks is told as such."""
    if name == "model_store":
        return "the one that is installed"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Path):
        home = Path.home()
        return code(f"~/{value.relative_to(home)}" if value.is_relative_to(home) else str(value))
    return code(str(value)) if value not in (None, "", (), {}) else "none"
