"""Fields to parameters, and the sentences about what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contracts import MAX_SEED, Params
from service.edge.parameters import (
    ALLOWED_FIELDS,
    allowed_values,
    params_from_json,
    params_from_text,
    refuse_unknown_fields,
)
from service.errors import InvalidParameter, UnknownField

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_text_becomes_numbers_and_booleans() -> None:
    params = params_from_text({"steps": "7", "strength": "0.5", "color_match": "false", "seed": "3"})
    assert params == Params(steps=7, strength=0.5, color_match=False, seed=3)


def test_whole_numbers_are_numbers_in_json() -> None:
    assert params_from_json({"guidance_scale": 3, "seed": None}) == Params(guidance_scale=3.0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"steps": 3, "strength": 0.3},
            "steps is 3 and strength is 0.3, which leaves no denoising step: steps x strength must be at least "
            "1. Raise steps or strength.",
        ),
        (
            {"n": 3, "seed": MAX_SEED - 1},
            "seed is 4294967294, but with n = 3 (seeds seed, seed + 1, ...) it must be at most 4294967293.",
        ),
    ],
)
def test_what_does_not_go_together_is_told_alike_as_json_and_as_text(
    fields: dict[str, Any], words: str
) -> None:
    assert refusal_of(params_from_json, fields) == words
    assert refusal_of(params_from_text, {name: str(value) for name, value in fields.items()}) == words


def test_the_least_that_goes_together_is_taken() -> None:
    params_from_json({"steps": 2, "strength": 0.5})
    params_from_json({"n": 3, "seed": MAX_SEED - 2})


@pytest.mark.parametrize("name", Params.model_fields)
def test_every_parameter_says_what_it_may_be(name: str) -> None:
    assert len(allowed_values(name)) > 5
    assert "{" not in allowed_values(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n", "a whole number from 1 to 10; default 1"),
        ("steps", "a whole number from 1 to 100, or left out"),
        ("guidance_scale", "a number from 1 to 20, or left out"),
        ("strength", "a number from 0.3 to 1; default 1.0"),
        ("seed", "a whole number from 0 to 4294967295, or left out"),
        ("mask_polarity", "one of white, black, transparent; default white"),
        ("output_format", "one of png, jpeg, webp, or left out"),
        ("color_match", "true or false; default true"),
        ("sampler", "one of ddim, dpm-solver++; default ddim"),
        ("timeout", "a number above 0 and at most 86400, or left out"),
        ("model", "text of at most 128 characters, or left out"),
    ],
)
def test_the_words_are_those_of_the_schema(name: str, words: str) -> None:
    assert allowed_values(name) == words


def test_a_misspelt_field_is_told_its_likely_name() -> None:
    with pytest.raises(UnknownField, match=r"'guidence_scale'; did you mean 'guidance_scale'\?"):
        refuse_unknown_fields(["image", "guidence_scale"])


def test_a_field_like_no_other_is_told_the_allowed_ones() -> None:
    with pytest.raises(UnknownField) as refusal:
        refuse_unknown_fields(["zzzzzz"])
    assert "did you mean" not in refusal.value.detail
    assert ", ".join(ALLOWED_FIELDS) in refusal.value.detail


def test_a_refusal_never_grows_with_the_request() -> None:
    with pytest.raises(UnknownField) as refusal:
        refuse_unknown_fields([f"{index}" + "x" * 10_000 for index in range(1000)])
    assert len(refusal.value.detail) < 1500


def refusal_of(parse: Callable[[dict[str, Any]], Params], fields: dict[str, Any]) -> str:
    """What `parse` refuses the fields with; nothing if it takes them. Any other exception is a failure."""
    try:
        parse(fields)
    except InvalidParameter as error:
        return error.detail
    return ""


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(list(Params.model_fields)), JSON_VALUES, max_size=4))
def test_any_json_is_taken_or_refused_in_words(fields: dict[str, Any]) -> None:
    told = refusal_of(params_from_json, fields)
    assert not told or any(name in told for name in (*fields, "parameters"))


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(list(Params.model_fields)), st.text(), max_size=4))
def test_any_text_is_taken_or_refused_in_words(fields: dict[str, str]) -> None:
    told = refusal_of(params_from_text, fields)
    assert not told or any(name in told for name in fields)
