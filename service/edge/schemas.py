"""Bodies of the REST interface as they are described in /openapi.json, and the answers built from results."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from service.contracts import MAX_UPLOAD_BYTES, MEBIBYTE, Box, OutputFormat, Params, ServedModel
from service.edge.handlers import InpaintAnswer
from service.edge.problems import PROBLEM_TYPE, Problem
from service.errors import ERROR_TABLE
from service.imaging.formats import FORMAT_NAMES

File = Annotated[bytes, WithJsonSchema({"type": "string", "contentMediaType": "application/octet-stream"})]
Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
IMAGE = f"The photo, one frame of one of these formats: {FORMAT_NAMES}."
MASK = "The hole, of the photo's size or aspect; mask_polarity says which pixels are filled."


class InpaintForm(Params):
    """Body of `POST /v1/inpaint` as multipart/form-data."""

    image: File = Field(description=IMAGE)
    mask: File = Field(description=MASK)


class InpaintDocument(Params):
    """Body of `POST /v1/inpaint` as application/json; data URIs are taken too."""

    image: Base64 = Field(description=IMAGE)
    mask: Base64 = Field(description=MASK)


class Picture(BaseModel):
    """One candidate."""

    data: Base64 = Field(description="The encoded file.")
    content_type: str = Field(description="Its format.")
    seed: int = Field(description="The seed that makes this candidate again, with n=1.")


class CropBox(BaseModel):
    """A crop that the model saw, in pixels of the photo: [left, right) x [top, bottom)."""

    model_config = ConfigDict(from_attributes=True)

    left: int
    top: int
    right: int
    bottom: int


class InpaintResponse(BaseModel):
    """Answer of `POST /v1/inpaint` on `Accept: application/json`."""

    job_id: str
    model: str
    pictures: list[Picture] = Field(description="One a candidate, in the order of their seeds.")
    boxes: list[CropBox]
    stages: dict[str, float] = Field(description="Seconds by stage; `queue` is the wait for a worker.")
    notes: list[str] = Field(description="What had to be changed on the way, if anything.")
    effective_mask: Base64 | None = Field(
        description="Where effective_mask was asked for: a gray PNG of the picture's size as displayed, 255 where the "
        "fill alone is, 0 where nothing was touched, the feather in between."
    )


class ModelEntry(BaseModel):
    """A model that at least one live worker has loaded."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="To be sent as `model`.")
    image_size: int = Field(description="Side of the square that the network sees, in pixels.")
    backend: str
    device: str
    precision: str
    sha256: str = Field(description="Digest of the model's manifest.")
    default_steps: int = Field(description="`steps` of a request that names none and takes `ddim`.")
    allowed_steps: list[int] | None = Field(
        description="The only `steps` that a few-step model takes; `guidance_scale` is fixed too. null: any."
    )
    guidance_scale: float = Field(description="`guidance_scale` of a request that names none.")


class ModelList(BaseModel):
    """Answer of `GET /v1/models`."""

    models: list[ModelEntry]


class Alive(BaseModel):
    """Answer of `GET /livez`."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Answer of `GET /readyz`."""

    status: Literal["ready"] = "ready"
    models: list[str]


def inpaint_response(answer: InpaintAnswer) -> InpaintResponse:
    """The JSON document of a finished job."""
    result = answer.result
    return InpaintResponse(
        job_id=answer.job_id,
        model=result.model,
        pictures=[
            Picture(data=_base64(data), content_type=result.content_type, seed=seed)
            for data, seed in zip(result.pictures, result.seeds, strict=True)
        ],
        boxes=[crop_box(box) for box in result.boxes],
        stages=result.stages,
        notes=list(result.notes),
        effective_mask=_base64(result.effective_mask) if result.effective_mask is not None else None,
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def crop_box(box: Box) -> CropBox:
    """One box of a result."""
    return CropBox.model_validate(box)


def model_list(models: tuple[ServedModel, ...]) -> ModelList:
    """The document of /v1/models."""
    return ModelList(models=[ModelEntry.model_validate(model) for model in models])


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the problems of a route, by status, with the codes that each may carry."""
    responses: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        codes = [code for code, mapping in ERROR_TABLE.items() if mapping.http_status == status]
        responses[status] = {
            "description": f"Problem details; code is one of: {', '.join(codes)}.",
            "content": {PROBLEM_TYPE: _reference(Problem)},
        }
    return responses


def _request_header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
    }


BODY_LIMIT = (
    f"At most {MAX_UPLOAD_BYTES // MEBIBYTE} MiB unless the operator chose another limit, for the whole body: photo "
    "and mask together. In JSON both are a third larger, being base64, which leaves "
    f"{MAX_UPLOAD_BYTES * 3 // 4 / MEBIBYTE:g} MiB for the files."
)
IDEMPOTENCY_KEY = _request_header(
    "Idempotency-Key",
    "1 to 255 visible characters, new for each new request. The same request with the same key gets the earlier "
    "job, or its answer, instead of a second one, also where that one failed; one that was cancelled, expired or lost "
    "with its workers is done anew. Another request with it is refused (idempotency_conflict).",
)
PREFER = _request_header("Prefer", "respond-async: answer 202 with a job instead of waiting (RFC 7240).")


def described_body(*headers: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI's description of what an inpainting request holds."""
    return {
        "parameters": list(headers),
        "requestBody": {
            "description": BODY_LIMIT,
            "required": True,
            "content": {
                "multipart/form-data": _reference(InpaintForm),
                "application/json": _reference(InpaintDocument),
            },
        },
    }


def described_form(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI's description of a multipart body of `model`."""
    content = {"multipart/form-data": _reference(model)}
    return {"requestBody": {"description": BODY_LIMIT, "required": True, "content": content}}


def described_document(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI's description of a JSON body of `model`."""
    content = {"application/json": _reference(model)}
    return {"requestBody": {"description": BODY_LIMIT, "required": True, "content": content}}


def picture_answer(description: str, *kinds: str) -> dict[str, Any]:
    """OpenAPI's description of an answer that is a picture of one of these content types."""
    schemas = {kind: {"schema": {"type": "string", "contentMediaType": kind}} for kind in kinds}
    return {"description": description, "content": schemas}


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


INPAINT_ANSWER: dict[str, Any] = {
    "description": "The picture in the input's own format, or in output_format or the format of Accept; "
    "with Accept: application/json, a document with all candidates.",
    "headers": {
        "X-Job-Id": _header("The job."),
        "X-Seed": _header("The seed that was used.", "integer"),
        "X-Model": _header("The model that was used."),
        "X-Boxes": _header(
            "The crops that the model saw, in pixels of the photo, each left,top,right,bottom (right and bottom "
            "exclusive), separated by spaces; absent if none."
        ),
        "X-Notes": _header("What had to be changed on the way; absent if nothing."),
        "Server-Timing": _header("Milliseconds of the queue and of each stage."),
    },
    "content": {
        **{
            f"image/{output.value}": {
                "schema": {"type": "string", "contentMediaType": f"image/{output.value}"}
            }
            for output in OutputFormat
        },
        "application/json": _reference(InpaintResponse),
    },
}
