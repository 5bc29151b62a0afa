"""Errors as RFC 9457 problem details, from the one table in service/errors.py."""

from __future__ import annotations

import json
import math

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from service.errors import (
    ERROR_TABLE,
    InpaintError,
    InvalidParameter,
    InvalidRequest,
    MethodNotAllowed,
    Unauthenticated,
    UnknownRoute,
)

PROBLEM_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Body of every refusal (RFC 9457, section 3.1) with two members of our own: `code` and `retryable`."""

    type: str = Field(description="Where the code is explained, relative to the service's address.")
    title: str = Field(description="The kind of problem, in a few words; the same for every such problem.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What was wrong, what is allowed and what to do.")
    code: str = Field(description="Stable name of the problem, for programs.")
    retryable: bool = Field(description="Whether the same request may succeed later.")


def problem_of(error: InpaintError) -> Problem:
    """The problem document of `error`."""
    mapping = ERROR_TABLE[error.code]
    return Problem(
        type=f"/docs#{error.code}",
        title=mapping.title,
        status=mapping.http_status,
        detail=error.detail,
        code=error.code,
        retryable=mapping.retryable,
    )


def problem_body(error: InpaintError) -> bytes:
    """The JSON of `error`, in ASCII so that no text of a client breaks it."""
    return json.dumps(problem_of(error).model_dump()).encode("ascii")


def error_headers(error: InpaintError) -> dict[str, str]:
    """Retry-After in whole seconds where the error knows it, and the scheme of authentication where it was missing
    (RFC 6750, section 3).
    """
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return headers


def problem_response(error: InpaintError) -> Response:
    """The HTTP answer for `error`."""
    return Response(
        problem_body(error),
        status_code=ERROR_TABLE[error.code].http_status,
        headers=error_headers(error),
        media_type=PROBLEM_TYPE,
    )


async def answer_inpaint_error(_: Request, error: Exception) -> Response:
    """Exception handler for the whole error tree."""
    assert isinstance(error, InpaintError)
    return problem_response(error)


async def answer_validation_error(_: Request, error: Exception) -> Response:
    """Exception handler for parameters in the address that are out of their range or type."""
    assert isinstance(error, RequestValidationError)
    told = " ".join(f"{detail['loc'][-1]}: {detail['msg']}." for detail in error.errors()[:10])
    return problem_response(InvalidParameter(told))


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Exception handler for what the router itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    if error.status_code == UNKNOWN_ROUTE_STATUS:
        return problem_response(
            UnknownRoute(f"Nothing is served at {_shown(request.url.path)}; /docs lists the routes.")
        )
    allowed = (error.headers or {}).get("Allow")
    if allowed is None:
        return problem_response(InvalidRequest(str(error.detail)))
    allowed = _methods_of_path(request) or allowed
    path, method = _shown(request.url.path), _shown(request.method)
    response = problem_response(MethodNotAllowed(f"{path} does not serve {method}; allowed: {allowed}."))
    response.headers["Allow"] = allowed
    return response


def _methods_of_path(request: Request) -> str:
    """All methods of the path (RFC 9110, section 10.2.1), as described; the router names those of one route only.
    Empty for a path that is not described.
    """
    path = getattr(request.scope.get("route"), "path", "")
    return ", ".join(sorted(method.upper() for method in request.app.openapi()["paths"].get(path, ())))


def install_problem_handlers(app: FastAPI) -> None:
    """Make `app` answer problem details wherever a route or the router raises."""
    app.add_exception_handler(InpaintError, answer_inpaint_error)
    app.add_exception_handler(RequestValidationError, answer_validation_error)
    app.add_exception_handler(HTTPException, answer_http_exception)


UNKNOWN_ROUTE_STATUS = ERROR_TABLE[UnknownRoute.code].http_status


def _shown(text: str, limit: int = 100) -> str:
    """A client's text, cut so that an answer never grows with the request."""
    return text if len(text) <= limit else text[:limit] + "..."
