"""Bodies of inpainting requests, multipart or JSON, to pictures and fields; in memory, never on disk."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from fastapi import Request
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.contracts import OutputFormat, Params
from service.edge.parameters import PICTURE_FIELDS, params_from_json, params_from_text, refuse_unknown_fields
from service.edge.threads import in_thread
from service.errors import InvalidParameter, InvalidRequest, MissingPart, UnsupportedMediaType

MULTIPART = "multipart/form-data"
JSON = "application/json"
MAX_FIELD_BYTES = 64 * 1024
MAX_PARTS = 64
MAX_JSON_MARKS = 256  # far more than our flat object of some twenty fields has; base64 has none
JSON_MARKS = b"[{,"
WHITESPACE = b" \t\r\n\f\v"


@dataclass(frozen=True, slots=True)
class InpaintBody:
    """What a client sent: two encoded pictures and the parameters."""

    image: bytes
    mask: bytes
    params: Params

    def with_format(self, output_format: OutputFormat | None) -> InpaintBody:
        """The same with the picture's format decided."""
        return replace(self, params=self.params.model_copy(update={"output_format": output_format}))


class _MemoryParser(MultiPartParser):
    """Keeps files in memory: the body is bounded already, and users' photos don't belong on a disk. Refuses a
    body that ends before its closing boundary.
    """

    spool_max_size = 2**62

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None]) -> None:
        super().__init__(
            headers,
            self._up_to_the_end(stream),
            max_files=MAX_PARTS,
            max_fields=MAX_PARTS,
            max_part_size=MAX_FIELD_BYTES,
        )
        self.complete = False

    def on_end(self) -> None:
        """The closing boundary was seen."""
        self.complete = True

    async def _up_to_the_end(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        if not self.complete:
            raise MultiPartException("It ended before its closing boundary.")


async def read_inpaint_body(request: Request) -> InpaintBody:
    """Read and check a body; raises the `InvalidRequest` errors, and what the body limit raises meanwhile."""
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return await _read_multipart(request)
    if kind == JSON:
        body = await request.body()
        return await in_thread(lambda: read_json_body(body))
    got = f"is {content_type[:100]!r}" if content_type else "is missing"
    raise UnsupportedMediaType(
        f"The content type {got}. Send {MULTIPART} with the files image and mask, "
        f"or {JSON} with both in base64."
    )


async def read_form(request: Request) -> FormData:
    """The fields of a multipart body; to be closed. Raises InvalidRequest, and what the body limit raises meanwhile."""
    try:
        async with aclosing(request.stream()) as stream:
            return await _MemoryParser(request.headers, stream).parse()
    except MultiPartException as error:
        raise InvalidRequest(
            f"The {MULTIPART} body could not be read: {error.message} Send image and mask as files "
            "(curl -F image=@photo.jpg -F mask=@mask.png) and each parameter as a short text field."
        ) from error


async def _read_multipart(request: Request) -> InpaintBody:
    form = await read_form(request)
    try:
        return await _body_from_form(form)
    finally:
        await form.close()


async def _body_from_form(form: FormData) -> InpaintBody:
    items = form.multi_items()
    refuse_unknown_fields(name for name, _ in items)
    refuse_repeats(name for name, _ in items)
    texts = {name: value for name, value in items if isinstance(value, str)}
    files = {name: value for name, value in items if isinstance(value, UploadFile)}
    _refuse_swapped_kinds(texts, files)
    pictures = {name: await file.read() for name, file in files.items()}
    return InpaintBody(*_both_pictures(pictures), params_from_text(texts))


def _refuse_swapped_kinds(texts: Mapping[str, str], files: Mapping[str, UploadFile]) -> None:
    for name in PICTURE_FIELDS:
        if name in texts:
            raise InvalidRequest(
                f"{name} came as a text field. Send it as a file, with a filename: curl -F {name}=@{name}.png"
            )
    for name in files:
        if name not in PICTURE_FIELDS:
            raise InvalidRequest(f"{name} came as a file. Send it as a text field: curl -F {name}=VALUE")


def refuse_repeats(names: Iterable[str]) -> None:
    """Raise InvalidRequest for names that come more than once."""
    repeated = [name[:64] for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InvalidRequest(f"Sent more than once: {', '.join(repeated[:5])}. Send each field once.")


def _both_pictures(pictures: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    missing = [name for name in PICTURE_FIELDS if name not in pictures]
    if missing:
        raise MissingPart(f"Missing: {' and '.join(missing)}. A request needs both an image and a mask.")
    return pictures["image"], pictures["mask"]


def read_json_body(body: bytes) -> InpaintBody:
    """Work for a thread: check a whole JSON body; raises the `InvalidRequest` errors."""
    fields = parse_json_object(body)
    refuse_unknown_fields(fields)
    pictures = {name: decode_base64(name, fields.pop(name)) for name in PICTURE_FIELDS if name in fields}
    return InpaintBody(*_both_pictures(pictures), params_from_json(fields))


def parse_json_object(body: bytes) -> dict[str, Any]:
    """One JSON object (RFC 8259) without repeated names; NaN and Infinity are no JSON."""
    if not body:
        raise InvalidRequest("The body is empty. Send a JSON object with image and mask in base64.")
    _refuse_crowds(body)
    try:
        value = json.loads(body, object_pairs_hook=_object_without_repeats, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {str(error)[:200]}.") from error
    if not isinstance(value, dict):
        raise InvalidRequest(
            "The body is JSON, but not an object. Send an object with image and mask in base64."
        )
    return value


def _refuse_crowds(body: bytes) -> None:
    """Raise InvalidRequest before parsing where the text has room for many values: 30 MB of them take a gigabyte
    as objects, and hold up every other request while they are made.
    """
    marks = len(body) - len(body.translate(None, JSON_MARKS))
    if marks > MAX_JSON_MARKS:
        raise InvalidRequest(
            f"The JSON has {marks:,} commas and brackets; at most {MAX_JSON_MARKS} are allowed. Send one flat "
            "object with image and mask in base64, and the parameters."
        )


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    refuse_repeats(name for name, _ in pairs)
    return dict(pairs)


def _refuse_constant(text: str) -> NoReturn:
    raise InvalidParameter(f"The body has {text}, which is not a JSON number. Every number must be finite.")


def decode_base64(name: str, value: object) -> bytes:
    """Standard base64 (RFC 4648, section 4), line breaks allowed, bare or as a data URI (RFC 2397)."""
    if not isinstance(value, str):
        raise InvalidParameter(f"{name} must be text in base64, or a data URI with base64.")
    if value[:8].lower().startswith(("http:", "https:", "file:", "ftp:")):
        raise InvalidParameter(
            f"{name} is an address, and addresses are not fetched. Send the file's bytes in base64."
        )
    data = value
    if value[:5].lower() == "data:":
        head, _, data = value.partition(",")
        if not head.lower().endswith(";base64"):
            raise InvalidParameter(
                f"{name} is a data URI without base64. Send data:image/png;base64,... instead."
            )
    try:
        return base64.b64decode(data.encode("ascii").translate(None, WHITESPACE), validate=True)
    except UnicodeEncodeError as error:
        raise InvalidParameter(
            f"{name} is not valid base64: it has {error.object[error.start]!a} at character {error.start}. "
            "Send the file's bytes in standard base64."
        ) from None
    except ValueError as error:
        raise InvalidParameter(
            f"{name} is not valid base64: {error}. Send the file's bytes in standard base64, with padding."
        ) from error
