"""The form of an answer, from Accept and the parameters."""

from __future__ import annotations

import pytest

from service.contracts import OutputFormat, Params, Result
from service.edge.negotiation import AnswerForm, choose_answer_form, choose_result_form
from service.errors import InvalidParameter, NotAcceptable

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


ONE = Result(pictures=(b"one",), content_type="image/webp", seeds=(1,), model="m")
TWO = Result(pictures=(b"one", b"two"), content_type="image/webp", seeds=(1, 2), model="m")


@pytest.mark.parametrize(
    ("accept", "result", "candidate", "chosen"),
    [
        (None, ONE, None, 0),
        ("image/webp", ONE, None, 0),
        ("image/*;q=0.1", ONE, None, 0),
        ("text/html, image/webp, application/json;q=0.5", ONE, None, 0),
        ("application/json", ONE, None, None),
        ("application/json", TWO, None, None),
        ("image/webp", TWO, 1, 1),
        ("*/*", TWO, 0, 0),
        ("application/json", TWO, 1, 1),
    ],
)
def test_a_result_is_the_candidate_asked_for_or_the_document_of_all(
    accept: str | None, result: Result, candidate: int | None, chosen: int | None
) -> None:
    assert choose_result_form(accept, result, candidate) == chosen


def test_a_result_keeps_the_format_that_its_job_was_sent_with() -> None:
    with pytest.raises(NotAcceptable, match=r"image/webp, or application/json.*output_format"):
        choose_result_form("image/png", ONE, None)


def test_a_result_of_several_pictures_asks_which_one() -> None:
    with pytest.raises(NotAcceptable, match=r"2 pictures.*application/json.*candidate=0"):
        choose_result_form(None, TWO, None)
    with pytest.raises(InvalidParameter, match="candidate is 2, but the job has 2"):
        choose_result_form(None, TWO, 2)
