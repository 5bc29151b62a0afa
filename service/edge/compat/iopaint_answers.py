"""What IOPaint's interface tells of a server and its models, and how it tells errors."""

from __future__ import annotations

import json
from typing import Literal

from fastapi import Response
from pydantic import BaseModel, Field

from service.contracts import ServedModel
from service.edge.compat.iopaint_request import SAMPLERS
from service.edge.problems import error_headers
from service.errors import ERROR_TABLE, InpaintError


class IOPaintModel(BaseModel):
    """A model as the web client chooses among them: one that takes no prompt, as LaMa."""

    name: str
    path: str
    model_type: Literal["inpaint"] = "inpaint"
    is_single_file_diffusers: bool = False
    need_prompt: bool = False
    controlnets: list[str] = []
    brushnets: list[str] = []
    support_strength: bool = False
    support_outpainting: bool = False
    support_lcm_lora: bool = False
    support_controlnet: bool = False
    support_brushnet: bool = False
    support_powerpaint_v2: bool = False


class IOPaintConfig(BaseModel):
    """What the web client asks first. No plugin, no file manager and nothing on the server's disk is offered; the
    plugins' models are named all the same, because the client shows what it is told.
    """

    plugins: list[str] = []
    modelInfos: list[IOPaintModel]  # noqa: N815 - its names
    removeBGModel: str = "briaai/RMBG-1.4"  # noqa: N815
    removeBGModels: list[str] = []  # noqa: N815
    realesrganModel: str = "realesr-general-x4v3"  # noqa: N815
    realesrganModels: list[str] = []  # noqa: N815
    interactiveSegModel: str = "vit_b"  # noqa: N815
    interactiveSegModels: list[str] = []  # noqa: N815
    enableFileManager: bool = False  # noqa: N815
    enableAutoSaving: bool = False  # noqa: N815
    enableControlnet: bool = False  # noqa: N815
    controlnetMethod: str | None = None  # noqa: N815
    disableModelSwitch: bool = True  # noqa: N815
    isDesktop: bool = False  # noqa: N815
    samplers: list[str] = list(SAMPLERS)


class GenerationInfo(BaseModel):
    """The prompts that a picture was made with: none is looked for."""

    prompt: str = ""
    negative_prompt: str = ""


class IOPaintError(BaseModel):
    """An error as the web client reads it: it shows `errors`."""

    error: str = Field(description="Stable name of the problem, the same as in problem details.")
    detail: str
    body: str = ""
    errors: str


def model_of(model: ServedModel) -> IOPaintModel:
    """A served model."""
    return IOPaintModel(name=model.name, path=model.name)


def config_of(models: tuple[ServedModel, ...]) -> IOPaintConfig:
    """The server, whose models are these."""
    return IOPaintConfig(modelInfos=[model_of(model) for model in models])


def iopaint_error_response(error: InpaintError) -> Response:
    """The answer for `error`, with our status and Retry-After."""
    document = IOPaintError(error=error.code, detail=error.detail, errors=error.detail)
    return Response(
        json.dumps(document.model_dump()),
        status_code=ERROR_TABLE[error.code].http_status,
        headers=error_headers(error),
        media_type="application/json",
    )
