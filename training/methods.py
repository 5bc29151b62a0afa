"""What fills the holes: models of the store, through the service's own picture code, and OpenCV's two methods.

Growing and feathering are off, so that a model may change the hole's pixels only, as OpenCV does.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pydantic.dataclasses import dataclass as validated_dataclass

from service.artifacts import load_manifest, model_folder
from service.contracts import MAX_PIXELS, Params, Strategy
from service.engine.base import Engine
from service.engine.inpaint import run, sampling_table
from service.engine.selection import open_engine
from service.imaging.retouch import finish, prepare
from service.settings import Settings
from training.masks import Mask
from training.photos import Pixels

Fill = Callable[[Pixels, Mask], Pixels]
OPENCV_RADIUS = 5


@dataclass(frozen=True)
class Method:
    """`fill` takes a photograph [h, w, 3] and its hole [h, w]. `identity` names all that the result depends on but
    the case. `forwards` are the network's evaluations for one crop: steps, times two where guidance is on.
    """

    name: str
    fill: Fill
    identity: str
    forwards: int = 0


@validated_dataclass(frozen=True, config={"extra": "forbid"})
class ModelChoice:
    """A model of the store. Steps and guidance scale that are not said are those that a few-step model was distilled
    to, and the recipe's for any other model.
    """

    name: str
    steps: int | None = None
    guidance_scale: float | None = None


def model_choices(model: str, models: Sequence[ModelChoice | str]) -> list[ModelChoice]:
    """A recipe's `model` and `models`, each once if it is named twice alike. Raises ValueError if there is none."""
    named = [name for name in (model, *models) if name]
    if not named:
        raise ValueError("nothing to measure: name a model of the store by `model`, or several by `models`")
    choices = [ModelChoice(name) if isinstance(name, str) else name for name in named]
    return list(dict.fromkeys(choices))


def opencv_fill(method: int) -> Fill:
    """Telea's (cv2.INPAINT_TELEA) or the Navier-Stokes (cv2.INPAINT_NS) method."""

    def fill(photo: Pixels, hole: Mask) -> Pixels:
        return np.asarray(cv2.inpaint(photo, hole.astype(np.uint8), OPENCV_RADIUS, method))

    return fill


def opencv_methods() -> list[Method]:
    """Both methods of OpenCV."""
    return [
        Method(name, opencv_fill(flag), f"OpenCV {cv2.__version__} {name} radius {OPENCV_RADIUS}")
        for name, flag in (("Telea", cv2.INPAINT_TELEA), ("Navier-Stokes", cv2.INPAINT_NS))
    ]


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def served_fill(engine: Engine, params: Params) -> Fill:
    """A model, through the pictures' code that the worker uses."""

    def fill(photo: Pixels, hole: Mask) -> Pixels:
        retouch = prepare(
            _png(photo),
            _png(hole.astype(np.uint8) * 255),
            params,
            model_size=engine.info.image_size,
            max_pixels=MAX_PIXELS,
        )
        fills = run(engine, retouch.tiles, params).fills[0]
        with Image.open(io.BytesIO(finish(retouch, fills, params).data)) as picture:
            return np.asarray(picture.convert("RGB"))

    return fill


@dataclass(frozen=True)
class ModelSettings:
    """How the models of one run are opened and sampled; `steps` and `guidance_scale` where a choice says none."""

    store: Path
    steps: int
    guidance_scale: float
    seed: int
    device: str = "auto"
    strategy: Strategy = Strategy.AUTO
    color_match: bool = True

    def params(self, choice: ModelChoice, *, distilled: bool) -> Params:
        """The request's parameters; a few-step model's own numbers stay open."""
        steps = None if distilled else self.steps
        guidance = None if distilled else self.guidance_scale
        return Params(
            seed=self.seed,
            steps=steps if choice.steps is None else choice.steps,
            guidance_scale=guidance if choice.guidance_scale is None else choice.guidance_scale,
            strategy=self.strategy,
            color_match=self.color_match,
            dilate=0,
            feather=0,
        )


def forwards_of(engine: Engine, params: Params) -> int:
    """The network's evaluations for one crop: one a step, two where the step is guided."""
    return sum(1 if row.guidance == 1 else 2 for row in sampling_table(engine.info, params).rows)


def model_methods(choices: Sequence[ModelChoice], settings: ModelSettings) -> list[Method]:
    """Every choice as a method, named by the model, and by its settings too where a model is chosen twice."""
    times = Counter(choice.name for choice in choices)
    engines = {name: _open(name, settings) for name in times}
    methods = []
    for choice in choices:
        engine = engines[choice.name]
        params = settings.params(choice, distilled=engine.info.is_distilled)
        forwards = forwards_of(engine, params)
        digest = load_manifest(model_folder(settings.store, choice.name)).digest
        name = choice.name if times[choice.name] == 1 else _with_settings(choice, params)
        identity = f"{digest} {engine.info.backend} {engine.info.precision} {params.model_dump_json()}"
        methods.append(Method(name, served_fill(engine, params), identity, forwards))
    return methods


def _open(name: str, settings: ModelSettings) -> Engine:
    engine = open_engine(Settings(model_store=settings.store, model=name, device=settings.device))
    engine.warmup()
    return engine


def _with_settings(choice: ModelChoice, params: Params) -> str:
    said = [choice.name]
    if params.steps is not None:
        said.append(f"{params.steps} steps")
    if params.guidance_scale is not None:
        said.append(f"guidance {params.guidance_scale:g}")
    return ", ".join(said)
