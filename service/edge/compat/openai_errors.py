"""Errors as OpenAI's interface tells them: `{"error": {message, type, param, code}}`, with its statuses.

Its clients choose their exceptions by the status: what is wrong with a request is 400 there, and not 422.
"""

from __future__ import annotations

import json

from fastapi import Response
from fastapi.sse import format_sse_event
from pydantic import BaseModel, Field

from service.edge.problems import error_headers
from service.errors import ERROR_TABLE, InpaintError, InvalidPicture

BAD_REQUEST, NOT_FOUND, TOO_MANY = 400, 404, 429
AS_THEY_ARE = frozenset({401, 404, 408, 409, 413, TOO_MANY})
FIRST_SERVER_ERROR = 500
PARAMS = {"empty_mask": "mask", "mask_size_mismatch": "mask", "unknown_model": "model"}


class OpenAIErrorBody(BaseModel):
    """What was wrong."""

    message: str
    type: str = Field(description="invalid_request_error, rate_limit_error or server_error.")
    param: str | None = Field(description="The field at fault, where it is known.")
    code: str = Field(description="Stable name of the problem, the same as in problem details.")


class OpenAIErrorDocument(BaseModel):
    """Body of a refusal in OpenAI's shape."""

    error: OpenAIErrorBody


def openai_status(error: InpaintError) -> int:
    """The HTTP status of an error here."""
    if error.code == "unknown_model":
        return NOT_FOUND
    status = ERROR_TABLE[error.code].http_status
    return status if status in AS_THEY_ARE or status >= FIRST_SERVER_ERROR else BAD_REQUEST


def openai_error(error: InpaintError) -> OpenAIErrorDocument:
    """The document of an error."""
    kind = _kind(openai_status(error))
    return OpenAIErrorDocument(
        error=OpenAIErrorBody(message=error.detail, type=kind, param=_param(error), code=error.code)
    )


def openai_error_response(error: InpaintError) -> Response:
    """The answer, with Retry-After in whole seconds where the error knows it."""
    return Response(
        _ascii_json(error),
        status_code=openai_status(error),
        headers=error_headers(error),
        media_type="application/json",
    )


def openai_error_event(error: InpaintError) -> bytes:
    """The last event of a stream that an error ends."""
    return format_sse_event(event="error", data_str=_ascii_json(error))


def _ascii_json(error: InpaintError) -> str:
    """In ASCII, so that no text of a client breaks it."""
    return json.dumps(openai_error(error).model_dump())


def _kind(status: int) -> str:
    if status == TOO_MANY:
        return "rate_limit_error"
    return "server_error" if status >= FIRST_SERVER_ERROR else "invalid_request_error"


def _param(error: InpaintError) -> str | None:
    if error.field is not None:
        return error.field
    if isinstance(error, InvalidPicture) and error.code not in PARAMS:
        return "mask" if error.detail.startswith("The mask ") else "image"
    return PARAMS.get(error.code)
