"""What is decided before a request is queued."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.contracts import Params, Sampler
from service.edge.admission import InpaintRequest, check_idempotency_key, fingerprint_of
from service.errors import InvalidParameter

REQUEST = InpaintRequest(client="key:alice", image=b"image", mask=b"mask", params=Params(seed=7))


@pytest.mark.parametrize(
    "key", [None, "a", "8e03978e-40d5-43dd-bc93-6894a57f9324", '"quoted"', "!~" * 127 + "!"]
)
def test_visible_characters_make_an_idempotency_key(key: str | None) -> None:
    check_idempotency_key(key)


@pytest.mark.parametrize("key", ["", " ", "two words", "a\n", "schlüssel", "a\x7f", "a" * 256])
def test_anything_else_makes_none(key: str) -> None:
    with pytest.raises(InvalidParameter, match="1 to 255 visible"):
        check_idempotency_key(key)


@pytest.mark.parametrize(
    "change",
    [
        {"client": "key:bob"},
        {"transport": "grpc"},
        {"idempotency_key": "k"},
        {"params": Params(seed=7, timeout=3)},
        {"params": Params(seed=7, steps=20)},
        {"params": Params(seed=7, guidance_scale=2)},
    ],
    ids=str,
)
def test_the_same_request_has_the_same_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint_of(replace(REQUEST, **change)) == fingerprint_of(REQUEST)


def test_the_usual_steps_are_those_of_the_sampler() -> None:
    left_out, ten, twenty = (
        fingerprint_of(
            replace(REQUEST, params=Params(seed=7, steps=steps, sampler=Sampler.DPM_SOLVER_PLUS_PLUS))
        )
        for steps in (None, 10, 20)
    )
    assert left_out == ten != twenty


@pytest.mark.parametrize(
    "change",
    [
        {"image": b"imag", "mask": b"emask"},
        {"image": b"mask", "mask": b"image"},
        {"mask": b""},
        {"params": Params()},
        {"params": Params(seed=7, n=2)},
        {"params": Params(seed=7, steps=20, sampler=Sampler.DPM_SOLVER_PLUS_PLUS)},
    ],
    ids=str,
)
def test_another_request_has_another_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint_of(replace(REQUEST, **change)) != fingerprint_of(REQUEST)
