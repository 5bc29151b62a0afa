"""docs/reference/http.md from the OpenAPI document that the service answers at /openapi.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scripts.reference.tables import code, table, words
from service.edge.app import create_app
from service.edge.openapi import openapi_document
from service.queue.client import QueueClient
from service.settings import Settings

BEGINNING = """# HTTP

The service describes itself: `/openapi.json` to programs, `/docs` to people; this page is made from the former. Where
keys are configured, routes below `/v1` and `/api/v1` need `Authorization: Bearer KEY`. What can go wrong is told by
[problems](problems.md).

"""
PROBLEM = "#/components/schemas/Problem"
Json = Mapping[str, Any]


def page() -> str:
    """The page."""
    settings = Settings.model_construct()
    document = openapi_document(create_app(settings, QueueClient("redis://localhost", settings)))
    routes = [
        route(method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    schemas = [
        schema(name, described)
        for name, described in sorted(document["components"]["schemas"].items())
        if "properties" in described or "enum" in described
    ]
    return BEGINNING + "\n".join(["## Routes\n", *routes, "## Documents\n", *schemas])


def route(method: str, path: str, operation: Json) -> str:
    """One route: what it does, what it takes, what it answers."""
    text = f"### {method.upper()} {words(path)}\n\n{words(operation['summary'])}. "
    text += words(operation.get("description", "")) + "\n\n"
    taken = list(parameters(operation))
    if taken:
        text += table(("parameter", "where", "meaning"), taken) + "\n"
    body = operation.get("requestBody")
    if body:
        kinds = " or ".join(
            f"{code(kind)} ({type_of(told['schema'])})" for kind, told in body["content"].items()
        )
        text += f"Body: {kinds}. {words(body.get('description', ''))}\n\n"
    return text + table(("status", "answer"), answers(operation))


def parameters(operation: Json) -> Iterator[Sequence[str]]:
    """A row for each parameter of the address and each header that is read."""
    for parameter in operation.get("parameters", ()):
        name = code(parameter["name"]) + (" (needed)" if parameter.get("required") else "")
        yield name, parameter["in"], words(parameter.get("description", ""))


def answers(operation: Json) -> Iterator[Sequence[str]]:
    """A row for each status."""
    for status, answer in operation["responses"].items():
        content = {kind: told.get("schema", {}) for kind, told in answer.get("content", {}).items()}
        told = words(answer["description"])
        if any(schema.get("$ref") == PROBLEM for schema in content.values()):
            told = words(answer["description"].removeprefix("Problem details; code is one of: ")).rstrip(".")
            told = f"problem: {told}"
        elif content:
            kinds = ", ".join(
                code(kind) + (f" ({type_of(schema)})" if "$ref" in schema else "")
                for kind, schema in content.items()
            )
            told = f"{told} {kinds}."
        yield status, told


def schema(name: str, described: Json) -> str:
    """One document: its fields, or the values of which it is one."""
    head = f"### {name}\n\n{words(described.get('description', ''))}\n\n"
    if "enum" in described:
        return f"{head}One of {', '.join(code(value) for value in described['enum'])}.\n"
    needed = described.get("required", ())
    rows = [
        (
            code(field) + (" (needed)" if field in needed else ""),
            type_of(told),
            words(told.get("description", "")),
        )
        for field, told in described["properties"].items()
    ]
    return head + table(("field", "type", "meaning"), rows)


def type_of(schema: Json) -> str:
    """The type of a value, with its range and default."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        kind = " or ".join(type_of(option) for option in schema["anyOf"])
    elif "enum" in schema or "const" in schema:
        kind = ", ".join(code(str(value)) for value in schema.get("enum", [schema.get("const")]))
    elif schema.get("type") == "array":
        kind = f"list of {type_of(schema.get('items', {}))}"
    else:
        kind = str(schema.get("type", "anything")) + limits(schema)
    return kind + (f"; default {code(str(schema['default']))}" if schema.get("default") is not None else "")


def limits(schema: Json) -> str:
    """The range of a number."""
    signs = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    return "".join(f", {sign} {schema[name]}" for name, sign in signs.items() if name in schema)
