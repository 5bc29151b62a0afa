"""Problem details from the table of errors."""

from __future__ import annotations

import json

import pytest

from service.edge.problems import problem_body, problem_response
from service.errors import ERROR_TABLE, EmptyMask, QueueFull, Unauthenticated, error_for


@pytest.mark.parametrize("code", ERROR_TABLE)
def test_every_code_of_the_table_has_a_problem(code: str) -> None:
    response = problem_response(error_for(code, "what was wrong"))
    problem = json.loads(bytes(response.body))
    assert response.status_code == problem["status"] == ERROR_TABLE[code].http_status
    assert response.media_type == "application/problem+json"
    assert problem["code"] == code
    assert problem["type"] == f"/docs#{code}"
    assert problem["detail"] == "what was wrong"
    assert problem["retryable"] is ERROR_TABLE[code].retryable


def test_retry_after_is_told_in_whole_seconds_and_never_zero() -> None:
    assert problem_response(QueueFull("full", retry_after=2.1)).headers["retry-after"] == "3"
    assert problem_response(QueueFull("full", retry_after=0.0)).headers["retry-after"] == "1"
    assert "retry-after" not in problem_response(EmptyMask("nothing")).headers


def test_who_has_no_key_is_told_how_to_send_one() -> None:
    assert problem_response(Unauthenticated("a key")).headers["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in problem_response(EmptyMask("nothing")).headers


def test_no_text_of_a_client_can_break_the_document() -> None:
    assert json.loads(problem_body(EmptyMask('"\ud800\n\x00ä')))["detail"] == '"\ud800\n\x00ä'
