"""The form of an answer, from Accept and the parameters."""

from __future__ import annotations

import pytest

from service.contracts import OutputFormat, Params
from service.edge.negotiation import AnswerForm, choose_answer_form
from service.errors import NotAcceptable

OWN = AnswerForm(as_json=False, output_format=None)
DOCUMENT = AnswerForm(as_json=True, output_format=None)
PNG = AnswerForm(as_json=False, output_format=OutputFormat.PNG)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, OWN),
        ("", OWN),
        ("*/*", OWN),
        ("image/*", OWN),
        ("image/png", PNG),
        ("IMAGE/PNG", PNG),
        ("image/webp;q=0.2, image/png;q=0.9", PNG),
        ("image/webp;q=0, image/png", PNG),
        ("image/png;q=nonsense, image/png", PNG),
        ("text/html, image/avif, image/webp, */*;q=0.8", OWN),
        ("application/json", DOCUMENT),
        ("application/json, text/plain, */*", DOCUMENT),
        ("image/png, application/json;q=0.9", PNG),
        ("application/json;q=0.1, */*", OWN),
    ],
)
def test_accept_is_followed(accept: str | None, expected: AnswerForm) -> None:
    assert choose_answer_form(accept, Params()) == expected


def test_a_document_keeps_the_format_asked_for() -> None:
    form = choose_answer_form("application/json", Params(output_format=OutputFormat.WEBP, n=4))
    assert form == AnswerForm(as_json=True, output_format=OutputFormat.WEBP)


@pytest.mark.parametrize("accept", ["text/html", "image/avif", "*/*;q=0", ";;;,,"])
def test_what_we_can_not_give_is_said_with_what_we_can(accept: str) -> None:
    with pytest.raises(NotAcceptable, match=r"image/png, image/jpeg, image/webp, application/json"):
        choose_answer_form(accept, Params())


def test_several_candidates_do_not_fit_a_picture_answer() -> None:
    with pytest.raises(NotAcceptable, match=r"n is 2.*application/json"):
        choose_answer_form("*/*", Params(n=2))
