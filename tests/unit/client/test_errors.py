"""Every code of the service has a class of the client's own."""

from __future__ import annotations

import pytest

from moebius_client import InternalError, InvalidRequest, Overloaded, Problem, ServiceError, Unavailable
from moebius_client.errors import CODES, error_of
from service.errors import ERROR_TABLE


def test_each_code_of_the_service_has_a_class_and_no_other_has() -> None:
    assert set(CODES) == set(ERROR_TABLE)


@pytest.mark.parametrize("code", ERROR_TABLE)
def test_an_error_keeps_what_was_said(code: str) -> None:
    problem = Problem(code, "What to do.", status=ERROR_TABLE[code].http_status, retryable=True)
    error = error_of(problem, 3.5)
    assert type(error) is CODES[code]
    assert (str(error), error.code, error.status, error.retry_after) == (
        "What to do.",
        code,
        problem.status,
        3.5,
    )


@pytest.mark.parametrize("code", ERROR_TABLE)
def test_what_is_told_as_overload_is_overload(code: str) -> None:
    """A class and a status must not contradict each other: callers look at either."""
    status = ERROR_TABLE[code].http_status
    assert issubclass(CODES[code], Overloaded) is (status == 429)
    assert issubclass(CODES[code], Unavailable) is (status == 503)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (429, Overloaded),
        (503, Unavailable),
        (502, Unavailable),
        (418, InvalidRequest),
        (500, InternalError),
        (None, ServiceError),
    ],
)
def test_an_unknown_code_is_judged_by_its_status(status: int | None, expected: type[ServiceError]) -> None:
    assert type(error_of(Problem("of_a_newer_service", "", status=status))) is expected
