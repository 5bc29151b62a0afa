"""When a client tries again, and how long it waits."""

from __future__ import annotations

import pytest

from moebius_client import ConnectionFailed, ConnectionTimedOut, InvalidInput, MoebiusError, Problem, Retry
from moebius_client.errors import CODES, error_of
from moebius_client.retry import Attempts, is_transient
from service.errors import ERROR_TABLE

TRIED_AGAIN = {
    "upload_stalled",
    "queue_full",
    "deadline_unreachable",
    "unavailable",
    "queue_unavailable",
    "not_ready",
}


def refusal(code: str, retry_after: float | None = None) -> MoebiusError:
    return error_of(Problem(code, "", status=ERROR_TABLE[code].http_status), retry_after)


@pytest.mark.parametrize("code", CODES)
def test_only_what_may_pass_in_a_moment_is_tried_again(code: str) -> None:
    assert is_transient(refusal(code)) is (code in TRIED_AGAIN)


def test_a_lost_connection_is_tried_again_and_a_wrong_input_is_not() -> None:
    assert is_transient(ConnectionFailed())
    assert is_transient(ConnectionTimedOut())
    assert not is_transient(InvalidInput())


def test_the_wait_grows_from_failure_to_failure_up_to_its_limit() -> None:
    retry = Retry(attempts=10, first_delay=1, longest_delay=6)
    for failures, ceiling in ((1, 1), (2, 2), (3, 4), (4, 6), (9, 6)):
        delays = [retry.delay(failures, ConnectionFailed()) or 0 for _ in range(300)]
        assert 0.8 * ceiling < max(delays) <= ceiling
        assert min(delays) < 0.2 * ceiling


def test_the_services_own_wait_is_kept_and_clients_are_spread_after_it() -> None:
    delays = [Retry().delay(1, refusal("queue_full", 8)) or 0 for _ in range(300)]
    assert min(delays) >= 8
    assert 9.5 < max(delays) <= 10


def test_a_wait_beyond_the_limit_is_the_end() -> None:
    assert Retry(longest_retry_after=10).delay(1, refusal("queue_full", 11)) is None


def test_the_last_failure_is_raised() -> None:
    attempts = Attempts(Retry(attempts=3))
    attempts.wait_after(ConnectionFailed())
    attempts.wait_after(ConnectionFailed())
    with pytest.raises(ConnectionFailed, match="third"):
        attempts.wait_after(ConnectionFailed("third"))


def test_what_comes_through_is_no_failure_any_more() -> None:
    attempts = Attempts(Retry(attempts=2))
    for _ in range(5):
        attempts.wait_after(ConnectionFailed())
        attempts.begin_anew()


def test_one_attempt_never_repeats() -> None:
    with pytest.raises(ConnectionFailed):
        Attempts(Retry(attempts=1)).wait_after(ConnectionFailed())
