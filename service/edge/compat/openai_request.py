"""The form of OpenAI's image edits to pictures and parameters; what it defines and we do not use is noted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from service.contracts import MaskPolarity, OutputFormat, Params
from service.edge.bodies import MULTIPART, read_form, refuse_repeats
from service.edge.parameters import shown
from service.edge.schemas import IMAGE, File
from service.errors import InvalidParameter, InvalidRequest, MissingPart, UnknownField, UnsupportedMediaType

IMAGE_NAMES = ("image", "image[]")
FILES = (*IMAGE_NAMES, "mask")
OTHERS_MODELS = re.compile(r"(gpt-image|chatgpt-image|dall-e)\b.*")
WITHOUT_EFFECT = (
    *("prompt", "size", "quality", "background", "input_fidelity", "moderation", "style", "user"),
)


class EditFields(BaseModel):
    """The text fields of an edit, with OpenAI's ranges and its default of PNG."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        default=None, max_length=128, description="A name from /v1/models; OpenAI's own mean the default."
    )
    n: int = Field(default=1, ge=1, le=10, description="Pictures, each with a seed of its own.")
    response_format: Literal["url", "b64_json"] = "b64_json"
    output_format: OutputFormat = OutputFormat.PNG
    output_compression: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Quality of JPEG and WebP; left out: the photo's tables, or 95.",
    )
    stream: bool = Field(default=False, description="Answer Server-Sent Events, partial images among them.")
    partial_images: int = Field(default=0, ge=0, le=3, description="Of a streamed answer.")
    prompt: str | None = Field(default=None, description="Not used, as all that follow.")
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    input_fidelity: str | None = None
    moderation: str | None = None
    style: str | None = None
    user: str | None = None

    @property
    def served_model(self) -> str | None:
        """The model to ask for here; None: the default."""
        return None if self.model is None or OTHERS_MODELS.fullmatch(self.model) else self.model

    @property
    def wants_urls(self) -> bool:
        """Whether the pictures are answered as addresses."""
        return self.response_format == "url"


class EditForm(EditFields):
    """Body of `POST /v1/images/edits` as multipart/form-data."""

    image: File = Field(description=f"{IMAGE} `image[]` is taken too; of several the first is filled.")
    mask: File | None = Field(
        default=None, description="Of the photo's size or aspect; what is transparent in it is filled."
    )


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit as it was sent. Without a `mask`, what is transparent in `image` is filled. `ignored` are the fields
    that were sent and are not used.
    """

    image: bytes
    mask: bytes | None
    fields: EditFields
    ignored: tuple[str, ...]

    def params(self, preview: int) -> Params:
        """Our parameters; `preview` is the number of steps from one partial image to the next, 0: none."""
        lossy = self.fields.output_format is not OutputFormat.PNG
        compression = self.fields.output_compression
        return Params(
            model=self.fields.served_model,
            n=self.fields.n,
            mask_polarity=MaskPolarity.TRANSPARENT,
            output_format=self.fields.output_format,
            quality=max(1, compression) if lossy and compression is not None else None,
            preview=preview,
        )


async def read_edit(request: Request) -> Edit:
    """Read and check a body; raises the `InvalidRequest` errors with the field at fault, and what the body limit
    raises meanwhile.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != MULTIPART:
        raise UnsupportedMediaType(
            f"The content type is {content_type[:100]!r}. Send {MULTIPART} with the file image, as OpenAI's clients do."
        )
    form = await read_form(request)
    try:
        return await _edit_of(form)
    finally:
        await form.close()


async def _edit_of(form: FormData) -> Edit:
    texts = {name: value for name, value in form.multi_items() if isinstance(value, str) and value}
    refuse_repeats(name for name, value in form.multi_items() if isinstance(value, str))
    images = [file for name in IMAGE_NAMES for file in form.getlist(name) if isinstance(file, UploadFile)]
    masks = [file for file in form.getlist("mask") if isinstance(file, UploadFile)]
    _refuse_swapped_kinds(form)
    if not images:
        raise MissingPart("Missing: image. Send the photo as a file.", field="image")
    if len(masks) > 1:
        raise InvalidRequest("mask came more than once. Send one.", field="mask")
    fields = _fields_of(texts)
    return Edit(
        image=await images[0].read(),
        mask=await masks[0].read() if masks else None,
        fields=fields,
        ignored=(*_ignored(texts, fields), *(["image[1:]"] if len(images) > 1 else [])),
    )


def _refuse_swapped_kinds(form: FormData) -> None:
    for name, value in form.multi_items():
        if name in FILES and isinstance(value, str):
            raise InvalidRequest(
                f"{name} came as a text field. Send it as a file, with a filename.", field=name
            )
        if name not in FILES and isinstance(value, UploadFile):
            raise UnknownField(
                f"There is no file {shown(name)}. Allowed: {', '.join(FILES)}.", field=name[:64]
            )


def _fields_of(texts: dict[str, str]) -> EditFields:
    unknown = next((name for name in texts if name not in EditFields.model_fields), None)
    if unknown is not None:
        allowed = ", ".join((*FILES, *EditFields.model_fields))
        raise UnknownField(f"Unknown field {shown(unknown)}. Allowed: {allowed}.", field=unknown[:64])
    try:
        return EditFields.model_validate(texts)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        name = str(fault["loc"][0])
        raise InvalidParameter(f"{name} is {shown(fault['input'])}: {fault['msg']}.", field=name) from None


def _ignored(sent: dict[str, str], fields: EditFields) -> Sequence[str]:
    """The fields that were sent and mean nothing here, or not in this company."""
    useless = set(WITHOUT_EFFECT)
    if fields.model != fields.served_model:
        useless.add("model")
    if fields.output_format is OutputFormat.PNG:
        useless.add("output_compression")
    useless.add("response_format" if fields.stream else "partial_images")
    return [name for name in sent if name in useless]
