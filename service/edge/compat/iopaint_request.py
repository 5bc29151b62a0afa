"""The JSON of IOPaint's `/api/v1/inpaint` to pictures and parameters; what we do not use of it is noted.

Names, defaults and ranges are those of IOPaint 1.6, the misspelt ones that its web client sends included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.contracts import MAX_SEED, OutputFormat, Params, Sampler, ServedModel, Strategy
from service.edge.bodies import decode_base64, parse_json_object
from service.edge.parameters import checked_params, shown
from service.edge.schemas import IMAGE, Base64
from service.edge.threads import in_thread
from service.errors import InvalidParameter, MissingPart, UnknownField

RANDOM_SEED = -1
DEFAULT_STEPS, DEFAULT_GUIDANCE = (
    50,
    7.5,
)  # its own, for other networks: sent whether anybody chose them or not
SAMPLERS = {"DDIM": Sampler.DDIM, "DPM++ 2M": Sampler.DPM_SOLVER_PLUS_PLUS}
MISSPELT = {
    "hd_strategy_crop_triger_size": "hd_strategy_crop_trigger_size",
    "hd_trategy_resize_imit": "hd_strategy_resize_limit",
}
OF_OTHER_MODELS = (
    *("ldm_steps", "ldm_sampler", "zits_wireframe", "cv2_flag", "cv2_radius", "prompt", "negative_prompt"),
    *("croper_x", "croper_y", "croper_height", "croper_width"),
    *("extender_x", "extender_y", "extender_height", "extender_width"),
    *("sd_scale", "sd_match_histograms", "sd_freeu", "sd_freeu_config", "sd_lcm_lora"),
    *("sd_outpainting_softness", "sd_outpainting_space"),
    *("paint_by_example_example_image", "p2p_image_guidance_scale"),
    *("enable_controlnet", "controlnet_conditioning_scale", "controlnet_method"),
    *("enable_brushnet", "brushnet_method", "brushnet_conditioning_scale"),
    *("enable_powerpaint_v2", "powerpaint_task", "fitting_degree"),
)
# Our crops are of native resolution whatever the picture's size, and a smaller picture is of the model's.
OF_ITS_OWN_CROPS = ("hd_strategy_crop_trigger_size", "hd_strategy_resize_limit")


class IOPaintFields(BaseModel):
    """The fields that mean something here. `None` where the client sent none."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    hd_strategy: Literal["Original", "Resize", "Crop"] = Field(
        default="Crop",
        description="Crop and Original: crops around the hole at native resolution; Resize: the whole "
        "picture, made as small as the model's.",
    )
    hd_strategy_crop_margin: int | None = Field(
        default=None, ge=0, le=4096, description="Pixels around a hole, with Crop."
    )
    sd_seed: int = Field(default=42, ge=RANDOM_SEED, le=MAX_SEED, description="-1: random.")
    sd_steps: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="50, which is IOPaint's default, means the model's own number.",
    )
    sd_guidance_scale: float | None = Field(
        default=None,
        ge=1,
        le=20,
        allow_inf_nan=False,
        description="7.5, which is IOPaint's default, means the model's own.",
    )
    sd_strength: float = Field(default=1.0, ge=0.3, le=1, allow_inf_nan=False)
    sd_mask_blur: int | None = Field(
        default=None, ge=0, le=256, description="Pixels over which the fill blends in."
    )
    sd_sampler: str | None = Field(default=None, description="DDIM or DPM++ 2M; others mean DDIM.")
    sd_keep_unmasked_area: bool = Field(default=True, description="It always is kept.")
    use_croper: bool = Field(default=False, description="Only false.")
    use_extender: bool = Field(default=False, description="Only false.")


class IOPaintDocument(IOPaintFields):
    """Body of `POST /api/v1/inpaint`; data URIs are taken too."""

    image: Base64 = Field(description=IMAGE)
    mask: Base64 = Field(description="The hole, of the photo's size; what is brighter than 127 is filled.")


@dataclass(frozen=True, slots=True)
class IOPaintRequest:
    """A request as it was sent; `ignored` are the fields that were sent and mean nothing here."""

    image: bytes
    mask: bytes
    fields: IOPaintFields
    ignored: tuple[str, ...]

    def params(self, model: ServedModel) -> tuple[Params, tuple[str, ...]]:
        """Our parameters for a model, and the names of those fields that it, too, has no use for."""
        own = self._of_the_models_choice()
        ignored = self.ignored
        if model.is_distilled:
            ignored += tuple(name for name, value in _SAMPLING.items() if own.pop(value, None) is not None)
        fields = self.fields
        values = {
            "model": model.name,
            "seed": None if fields.sd_seed == RANDOM_SEED else fields.sd_seed,
            "strategy": Strategy.RESIZE if fields.hd_strategy == "Resize" else Strategy.AUTO,
            "context": fields.hd_strategy_crop_margin if fields.hd_strategy == "Crop" else None,
            "feather": fields.sd_mask_blur,
            "strength": fields.sd_strength,
            "output_format": OutputFormat.PNG,
        }
        return checked_params(values | own), ignored

    def _of_the_models_choice(self) -> dict[str, Any]:
        """Parameters that the client chose, and that a few-step model leaves nobody to choose."""
        fields = self.fields
        chosen: dict[str, Any] = {}
        if fields.sd_steps not in (None, DEFAULT_STEPS):
            chosen["steps"] = fields.sd_steps
        if fields.sd_guidance_scale not in (None, DEFAULT_GUIDANCE):
            chosen["guidance_scale"] = fields.sd_guidance_scale
        if fields.sd_sampler in SAMPLERS:
            chosen["sampler"] = SAMPLERS[fields.sd_sampler]
        return chosen


_SAMPLING = {"sd_steps": "steps", "sd_guidance_scale": "guidance_scale", "sd_sampler": "sampler"}


async def read_iopaint(request: Request) -> IOPaintRequest:
    """Read and check a body; raises the `InvalidRequest` errors, and what the body limit raises meanwhile."""
    body = await request.body()
    return await in_thread(lambda: parsed(body))


def parsed(body: bytes) -> IOPaintRequest:
    """Work for a thread: a whole JSON body; raises the `InvalidRequest` errors."""
    sent = {MISSPELT.get(name, name): value for name, value in parse_json_object(body).items()}
    missing = [name for name in ("image", "mask") if sent.get(name) is None]
    if missing:
        raise MissingPart(f"Missing: {' and '.join(missing)}. Send both in base64, or as data URIs.")
    _refuse_unknown(sent)
    image, mask = (decode_base64(name, sent[name]) for name in ("image", "mask"))
    fields = _fields_of(sent)
    return IOPaintRequest(image, mask, fields, tuple(_ignored(sent, fields)))


def _refuse_unknown(sent: Mapping[str, Any]) -> None:
    known = {*IOPaintDocument.model_fields, *OF_OTHER_MODELS, *OF_ITS_OWN_CROPS}
    unknown = [name for name in sent if name not in known]
    if unknown:
        raise UnknownField(
            f"Unknown field {shown(unknown[0])}. Taken are the fields of IOPaint 1.6: {', '.join(sorted(known))}."
        )


def _fields_of(sent: Mapping[str, Any]) -> IOPaintFields:
    try:
        fields = IOPaintFields.model_validate(
            {name: value for name, value in sent.items() if value is not None}
        )
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        name = fault["loc"][0]
        raise InvalidParameter(f"{name} is {shown(fault['input'])}: {fault['msg']}.") from None
    for name in ("use_croper", "use_extender"):
        if getattr(fields, name):
            raise InvalidParameter(
                f"{name} is true, but is not offered here. Send the part that is meant, and false."
            )
    return fields


def _ignored(sent: Mapping[str, Any], fields: IOPaintFields) -> Iterable[str]:
    useless = {*OF_OTHER_MODELS, *OF_ITS_OWN_CROPS}
    if not fields.sd_keep_unmasked_area:
        useless.add("sd_keep_unmasked_area")
    if fields.sd_sampler not in SAMPLERS:
        useless.add("sd_sampler")
    if fields.hd_strategy != "Crop":
        useless.add("hd_strategy_crop_margin")
    if fields.sd_steps == DEFAULT_STEPS:
        useless.add("sd_steps")
    if fields.sd_guidance_scale == DEFAULT_GUIDANCE:
        useless.add("sd_guidance_scale")
    return (name for name in sent if name in useless)
