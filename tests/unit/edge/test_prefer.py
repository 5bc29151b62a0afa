"""The Prefer header (RFC 7240)."""

from __future__ import annotations

import pytest

from service.edge.prefer import prefers_async


@pytest.mark.parametrize(
    "fields",
    [
        ["respond-async"],
        ["Respond-Async"],
        ["respond-async, wait=10"],
        ["wait=10 , respond-async"],
        ["respond-async; foo=bar"],
        ['respond-async=""'],
        ["return=minimal", "respond-async"],
    ],
)
def test_respond_async_is_heard_wherever_it_stands(fields: list[str]) -> None:
    assert prefers_async(fields)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [""],
        ["wait=10"],
        ["respond-asynchronously"],
        ['foo="a, respond-async"'],
        ["foo; respond-async"],
        [",,;="],
    ],
)
def test_other_preferences_are_passed_over(fields: list[str]) -> None:
    assert not prefers_async(fields)
