"""What an HTTP refusal says, in our words: how long to wait, whichever way it is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from moebius_client.errors import ServiceError
from moebius_client.http_messages import checked


def retry_after(text: str | None) -> float | None:
    """What a refusal with this Retry-After asks for."""
    headers = {} if text is None else {"Retry-After": text}
    with pytest.raises(ServiceError) as refusal:
        checked(httpx.Response(503, headers=headers, text="busy"))
    return refusal.value.retry_after


def test_a_wait_is_a_number_of_seconds_or_a_date() -> None:
    assert retry_after("17") == 17
    in_an_hour = retry_after(format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
    assert in_an_hour is not None
    assert 3000 < in_an_hour <= 3600


def test_a_date_that_has_passed_is_no_wait() -> None:
    assert retry_after("Sun, 06 Nov 1994 08:49:37 GMT") == 0


@pytest.mark.parametrize("text", [None, "", "soon", "-3", "1.5"])
def test_what_is_no_wait_is_not_told_as_one(text: str | None) -> None:
    assert retry_after(text) is None
