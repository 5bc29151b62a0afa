"""What a request may choose of its sampling, for ordinary and for few-step models."""

from __future__ import annotations

import pytest

from service.contracts import Params, Sampler, ServedModel
from service.errors import InvalidParameter
from service.sampling import resolve_sampling

ORDINARY = ServedModel("nano", 256, "dummy", "cpu", "fp32", "")
FOUR_STEPS = ServedModel("nano-4step", 256, "dummy", "cpu", "fp32", "", 4, (4,), 2.5)


def test_what_is_left_out_is_the_models_own() -> None:
    assert resolve_sampling(Params(), ORDINARY, "nano") == Params(steps=20, guidance_scale=2.0)
    assert resolve_sampling(Params(), FOUR_STEPS, "nano-4step") == Params(steps=4, guidance_scale=2.5)


def test_the_second_order_sampler_takes_ten_steps_where_the_request_names_none() -> None:
    resolved = resolve_sampling(Params(sampler=Sampler.DPM_SOLVER_PLUS_PLUS), ORDINARY, "nano")
    assert resolved.steps == 10
    chosen = Params(sampler=Sampler.DPM_SOLVER_PLUS_PLUS, steps=8)
    assert resolve_sampling(chosen, ORDINARY, "nano").steps == 8


def test_a_few_step_model_takes_its_own_sampler_when_it_is_said() -> None:
    assert resolve_sampling(Params(sampler=Sampler.DDIM), FOUR_STEPS, "nano-4step").steps == 4


@pytest.mark.parametrize("steps", [None, 4])
def test_another_sampler_than_a_few_step_models_is_refused_with_what_is_allowed(steps: int | None) -> None:
    chosen = Params(sampler=Sampler.DPM_SOLVER_PLUS_PLUS, steps=steps)
    with pytest.raises(InvalidParameter) as caught:
        resolve_sampling(chosen, FOUR_STEPS, "nano-4step", others=["nano"])
    assert caught.value.detail == (
        "sampler is dpm-solver++, but nano-4step is distilled to the steps of ddim: leave `sampler` out or say ddim. "
        "For other samplers use nano."
    )


def test_an_ordinary_model_takes_any_numbers() -> None:
    chosen = Params(steps=7, guidance_scale=1.0, strength=0.5, seed=3)
    assert resolve_sampling(chosen, ORDINARY, "nano") == chosen


def test_a_few_step_model_takes_its_own_numbers_when_they_are_said() -> None:
    chosen = Params(steps=4, guidance_scale=2.5)
    assert resolve_sampling(chosen, FOUR_STEPS, "nano-4step") == chosen


@pytest.mark.parametrize("steps", [1, 3, 5, 20, 100])
def test_other_steps_are_refused_with_what_is_allowed_and_where_to_go(steps: int) -> None:
    with pytest.raises(InvalidParameter) as caught:
        resolve_sampling(Params(steps=steps), FOUR_STEPS, "nano-4step", others=["nano"])
    assert caught.value.detail == (
        f"steps is {steps}, but nano-4step is distilled to 4 steps: leave `steps` out or say 4. "
        "For other numbers use nano."
    )


@pytest.mark.parametrize("scale", [1.0, 2.0, 20.0])
def test_another_guidance_is_refused_with_what_is_allowed(scale: float) -> None:
    with pytest.raises(InvalidParameter) as caught:
        resolve_sampling(Params(guidance_scale=scale), FOUR_STEPS, "nano-4step")
    assert caught.value.detail == (
        f"guidance_scale is {scale:g}, but nano-4step has a guidance of 2.5 in its weights: leave "
        "`guidance_scale` out or say 2.5. For other scales use a model that is not distilled to few steps."
    )


def test_a_strength_that_leaves_no_step_of_the_models_own_is_refused() -> None:
    two_steps = ServedModel("two", 256, "dummy", "cpu", "fp32", "", 2, (2,), 2.0)
    with pytest.raises(InvalidParameter, match=r"strength is 0\.3, and two takes 2 steps.*Raise strength"):
        resolve_sampling(Params(strength=0.3), two_steps, "two")
    assert resolve_sampling(Params(strength=0.5), two_steps, "two").steps_run == 1
