"""What a model leaves a request to choose of its sampling: the defaults, and what a few-step model has fixed.

One rule for the edge, which knows models by their registrations, and for an engine without a service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from service.contracts import DEFAULT_DPM_SOLVER_STEPS, Params, Sampler
from service.errors import InvalidParameter


class ModelSampling(Protocol):
    """What is asked of a model: its own numbers, and the steps that it allows (None: any)."""

    @property
    def default_steps(self) -> int:
        """DDIM's steps of a request that names none."""

    @property
    def allowed_steps(self) -> tuple[int, ...] | None:
        """Where not None, the only numbers of steps; `guidance_scale` is the only scale, and DDIM the only sampler."""

    @property
    def guidance_scale(self) -> float:
        """Guidance of a request that names none."""


def resolve_sampling(
    params: Params, model: ModelSampling, name: str, *, others: Sequence[str] = ()
) -> Params:
    """The parameters with the model's own `steps` and `guidance_scale` where the request names none.

    Raises `InvalidParameter` for numbers and samplers that the model called `name` was not distilled to, with the
    models that take `others`, and where steps x strength leaves no step.
    """
    if model.allowed_steps is not None:
        elsewhere = _elsewhere(others)
        _refuse_other_steps(params.steps, model.allowed_steps, name, elsewhere)
        _refuse_other_guidance(params.guidance_scale, model.guidance_scale, name, elsewhere)
        _refuse_other_samplers(params.sampler, name, elsewhere)
    steps = usual_steps(params.sampler, model.default_steps) if params.steps is None else params.steps
    guidance = model.guidance_scale if params.guidance_scale is None else params.guidance_scale
    resolved = params.model_copy(update={"steps": steps, "guidance_scale": guidance})
    if resolved.steps_run < 1:
        raise InvalidParameter(
            f"strength is {params.strength:g}, and {name} takes {steps} steps, which leaves no denoising step: "
            "steps x strength must be at least 1. Raise strength."
        )
    return resolved


def usual_steps(sampler: Sampler, of_ddim: int) -> int:
    """Steps of a request that names none, where DDIM takes `of_ddim`."""
    return of_ddim if sampler is Sampler.DDIM else DEFAULT_DPM_SOLVER_STEPS


def _refuse_other_steps(steps: int | None, allowed: tuple[int, ...], name: str, elsewhere: str) -> None:
    if steps is not None and steps not in allowed:
        counts = " or ".join(map(str, allowed))
        raise InvalidParameter(
            f"steps is {steps}, but {name} is distilled to {counts} steps: leave `steps` out or say {counts}. "
            f"For other numbers {elsewhere}."
        )


def _refuse_other_guidance(scale: float | None, own: float, name: str, elsewhere: str) -> None:
    if scale is not None and scale != own:
        raise InvalidParameter(
            f"guidance_scale is {scale:g}, but {name} has a guidance of {own:g} in its weights: leave "
            f"`guidance_scale` out or say {own:g}. For other scales {elsewhere}."
        )


def _refuse_other_samplers(sampler: Sampler, name: str, elsewhere: str) -> None:
    if sampler is not Sampler.DDIM:
        raise InvalidParameter(
            f"sampler is {sampler}, but {name} is distilled to the steps of {Sampler.DDIM}: leave `sampler` out or "
            f"say {Sampler.DDIM}. For other samplers {elsewhere}."
        )


def _elsewhere(others: Sequence[str]) -> str:
    return f"use {' or '.join(others)}" if others else "use a model that is not distilled to few steps"
