"""The whole of /openapi.json: what FastAPI reads off the routes, and what it can't know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from service.edge.compat.iopaint_request import IOPaintDocument
from service.edge.compat.openai_request import EditForm
from service.edge.job_schemas import JobEventDocument
from service.edge.middleware import QUIET_ROUTES
from service.edge.problems import Problem
from service.edge.schemas import InpaintDocument, InpaintForm, InpaintResponse
from service.tracing import TRACE_RESPONSE

KEYED_ROUTES = ("/v1/", "/api/v1/")
TRACE_TOLD = (
    "Where the service traces requests: version-trace-span-flags of this one (W3C Trace Context, draft of Level 2), in "
    "the caller's trace if the request had a traceparent."
)
FRAMEWORKS_OWN = ("HTTPValidationError", "ValidationError")  # of answers that we never give
_DESCRIBED: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    (InpaintForm, "validation"),
    (InpaintDocument, "validation"),
    (InpaintResponse, "serialization"),
    (JobEventDocument, "serialization"),
    (EditForm, "validation"),
    (IOPaintDocument, "validation"),
    (Problem, "serialization"),
]


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The description, made once; routes that read their bodies themselves get their schemas here, and where
    API keys are configured it says which routes need one.
    """
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        _, described = models_json_schema(_DESCRIBED, ref_template="#/components/schemas/{model}")
        schemas.update(described["$defs"])
        _drop_frameworks_refusals(document, schemas)
        _describe_trace_response(document, components)
        if app.state.edge.authenticator.needs_key:
            _ask_for_keys(document, components)
        app.openapi_schema = document
    return app.openapi_schema


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            yield path, operation


def _drop_frameworks_refusals(document: dict[str, Any], schemas: dict[str, Any]) -> None:
    for _, operation in _operations(document):
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]
    for name in FRAMEWORKS_OWN:
        schemas.pop(name, None)


def _describe_trace_response(document: dict[str, Any], components: dict[str, Any]) -> None:
    components["headers"] = {TRACE_RESPONSE: {"description": TRACE_TOLD, "schema": {"type": "string"}}}
    reference = {"$ref": f"#/components/headers/{TRACE_RESPONSE}"}
    for path, operation in _operations(document):
        if path not in QUIET_ROUTES:
            for response in operation["responses"].values():
                # A new one: routes share what describes their answers.
                response["headers"] = {**response.get("headers", {}), TRACE_RESPONSE: reference}


def _ask_for_keys(document: dict[str, Any], components: dict[str, Any]) -> None:
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer KEY."}
    }
    for path, operation in _operations(document):
        if path.startswith(KEYED_ROUTES):
            operation["security"] = [{"key": []}]
