"""What a client would like of an answer: the Prefer header of RFC 7240."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.request import parse_http_list

RESPOND_ASYNC = "respond-async"


def prefers_async(fields: Iterable[str]) -> bool:
    """Whether `respond-async` is among the preferences of all Prefer fields; its value, if any, means nothing
    (sections 2 and 4.1). Unknown preferences are passed over.
    """
    return any(
        preference.partition(";")[0].partition("=")[0].strip().lower() == RESPOND_ASYNC
        for field in fields
        for preference in parse_http_list(field)
    )
