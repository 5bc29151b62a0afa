"""What OpenAI's interface answers to an edit: one document, or a stream of events."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from fastapi.sse import format_sse_event
from pydantic import BaseModel, Field

from service.contracts import JobEvent, OutputFormat, Preview
from service.edge.compat.openai_request import Edit
from service.edge.handlers import InpaintAnswer
from service.edge.threads import in_thread
from service.imaging.enlarge import enlarged


class Usage(BaseModel):
    """Tokens: there are none here, as nothing is billed by them. The clients read the numbers."""

    class Details(BaseModel):
        """Of the input."""

        image_tokens: int = 0
        text_tokens: int = 0

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: Details = Details()


class EditedImage(BaseModel):
    """One picture, as base64 or as an address."""

    b64_json: str | None = None
    url: str | None = Field(default=None, description="Readable without a key while the result is kept.")


class Images(BaseModel):
    """Answer of `POST /v1/images/edits`."""

    created: int = Field(description="Unix seconds.")
    data: list[EditedImage]
    output_format: OutputFormat
    size: str = Field(description="Width x height in pixels: the photo's own.")
    usage: Usage = Usage()


class _Event(BaseModel):
    b64_json: str
    created_at: int
    output_format: OutputFormat
    size: str
    background: Literal["auto"] = "auto"
    quality: Literal["auto"] = "auto"


class _PartialImage(_Event):
    type: Literal["image_edit.partial_image"] = "image_edit.partial_image"
    partial_image_index: int


class _Completed(_Event):
    type: Literal["image_edit.completed"] = "image_edit.completed"
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class EditedSize:
    """Width and height of the photo in pixels, and of its answers."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def images_of(answer: InpaintAnswer, sent: Edit, size: EditedSize, urls: list[str] | None) -> Images:
    """The document of a finished edit, with addresses where `urls` are given. Work for a thread."""
    pictures = answer.result.pictures
    data = (
        [EditedImage(b64_json=_base64(picture)) for picture in pictures]
        if urls is None
        else [EditedImage(url=url) for url in urls]
    )
    return Images(
        created=int(time.time()), data=data, output_format=sent.fields.output_format, size=str(size)
    )


async def edit_events(
    first: JobEvent | InpaintAnswer,
    items: AsyncGenerator[JobEvent | InpaintAnswer],
    sent: Edit,
    size: EditedSize,
) -> AsyncGenerator[bytes]:
    """Server-Sent Events: as many partial images as were asked for, or fewer where steps pass quickly, and each
    finished picture. `first` comes before the `items`.
    """
    told = 0
    async with aclosing(items):
        async for item in _chained(first, items):
            if isinstance(item, InpaintAnswer):
                for picture in item.result.pictures:
                    yield await in_thread(lambda: _completed(picture, sent, size))  # noqa: B023 - awaited here
            elif item.preview is not None and told < sent.fields.partial_images:
                preview = item.preview
                yield await in_thread(lambda: _partial_image(preview, told, sent, size))  # noqa: B023
                told += 1


async def _chained(
    first: JobEvent | InpaintAnswer, items: AsyncGenerator[JobEvent | InpaintAnswer]
) -> AsyncGenerator[JobEvent | InpaintAnswer]:
    yield first
    async for item in items:
        yield item


def _partial_image(preview: Preview, index: int, sent: Edit, size: EditedSize) -> bytes:
    output_format = sent.fields.output_format
    large = enlarged(preview.data, (size.width, size.height), output_format)
    return _event_bytes(
        _PartialImage(
            b64_json=_base64(large),
            created_at=int(time.time()),
            output_format=output_format,
            size=str(size),
            partial_image_index=index,
        )
    )


def _completed(picture: bytes, sent: Edit, size: EditedSize) -> bytes:
    return _event_bytes(
        _Completed(
            b64_json=_base64(picture),
            created_at=int(time.time()),
            output_format=sent.fields.output_format,
            size=str(size),
        )
    )


def _event_bytes(event: _PartialImage | _Completed) -> bytes:
    return format_sse_event(event=event.type, data_str=event.model_dump_json())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
