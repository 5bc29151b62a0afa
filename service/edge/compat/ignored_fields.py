"""How an answer says which of a request's fields were taken and then not used."""

from __future__ import annotations

from collections.abc import Iterable

from service.edge.answers import header_text

IGNORED_FIELDS = "X-Ignored-Fields"
IGNORED_DESCRIBED = {
    IGNORED_FIELDS: {
        "description": "Fields that were sent and had no effect, separated by commas; absent if none.",
        "schema": {"type": "string"},
    }
}


def ignored_header(names: Iterable[str]) -> dict[str, str]:
    """The header with the names, in their order; nothing where all were used."""
    told = ", ".join(dict.fromkeys(names))
    return {IGNORED_FIELDS: header_text(told)} if told else {}
