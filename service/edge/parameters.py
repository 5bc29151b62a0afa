"""Fields of a request to `Params`, and the sentences that tell which field is wrong and what it may be."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.contracts import COMBINATION, Params
from service.errors import InvalidParameter, UnknownField

PICTURE_FIELDS = ("image", "mask")
ALLOWED_FIELDS = (*PICTURE_FIELDS, *Params.model_fields)
_SCHEMA = Params.model_json_schema()


def refuse_unknown_fields(names: Iterable[str]) -> None:
    """Raise `UnknownField` for names that the native interface lacks, with the nearest known one."""
    unknown = [name for name in dict.fromkeys(names) if name not in ALLOWED_FIELDS]
    if unknown:
        told = " ".join(_unknown_sentence(name) for name in unknown[:5])
        raise UnknownField(f"{told} Allowed fields: {', '.join(ALLOWED_FIELDS)}.")


def _unknown_sentence(name: str) -> str:
    near = difflib.get_close_matches(name[:64], ALLOWED_FIELDS, n=1)
    return f"Unknown field {shown(name)}" + (f"; did you mean {near[0]!r}?" if near else ".")


def params_from_text(fields: Mapping[str, str]) -> Params:
    """Parameters from form fields, whose numbers and booleans are text. Raises `InvalidParameter`."""
    return checked_params(fields)


def params_from_json(fields: Mapping[str, Any]) -> Params:
    """Parameters from JSON values, each of its JSON type: "20" is no number. Raises `InvalidParameter`."""
    try:
        return Params.model_validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        raise _invalid_parameter(error) from None


def checked_params(values: Mapping[str, Any]) -> Params:
    """Parameters from values of their own types. Raises `InvalidParameter`."""
    try:
        return Params.model_validate(dict(values))
    except ValidationError as error:
        raise _invalid_parameter(error) from None


def _invalid_parameter(error: ValidationError) -> InvalidParameter:
    details = error.errors(include_url=False, include_context=False)
    return InvalidParameter(" ".join(_sentence(detail) for detail in details[:10]))


def _sentence(detail: ErrorDetails) -> str:
    if detail["type"] == COMBINATION:
        return detail["msg"]
    if not detail["loc"]:
        return f"The parameters could not be read: {detail['msg']}."
    name = str(detail["loc"][0])
    return f"{name} is {shown(detail['input'])}, but must be {allowed_values(name)}."


def shown(value: object, limit: int = 60) -> str:
    """A client's value in an answer: quoted, and cut so that the answer does not grow with the request."""
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def allowed_values(name: str) -> str:
    """What a parameter may be, from the schema of `Params`: "a whole number from 1 to 100; default 20"."""
    schema = _SCHEMA["properties"][name]
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    words = " or ".join(_words(option) for option in options)
    default = schema.get("default")
    return f"{words}; default {_plain(default)}" if default is not None else f"{words}, or left out"


def _words(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        schema = _SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "const" in schema:
        return str(_plain(schema["const"]))
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    kinds = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    return kinds[schema["type"]] + _range(schema)


def _range(schema: Mapping[str, Any]) -> str:
    if "maxLength" in schema:
        return f" of at most {schema['maxLength']} characters"
    if "exclusiveMinimum" in schema:
        return f" above {schema['exclusiveMinimum']} and at most {schema['maximum']}"
    return f" from {schema['minimum']} to {schema['maximum']}" if "minimum" in schema else ""


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
