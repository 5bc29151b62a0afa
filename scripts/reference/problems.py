"""docs/reference/problems.md from the error tree and its table (service/errors.py)."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.reference.tables import code, table, words
from service.errors import ERROR_TABLE, InpaintError

BEGINNING = """# Problems

Over HTTP a problem is a document of type `application/problem+json` (RFC 9457). Its `code` is stable and for programs,
its `detail` is for people: what was wrong, what is allowed, what to do. Over gRPC the same code is the `reason` of a
`google.rpc.ErrorInfo` in the status details. *Retry* says whether the same request may succeed later; where the service
knows when, it says so in `Retry-After`, over gRPC in a `google.rpc.RetryInfo`.

"""


def page() -> str:
    """The page."""
    meanings = {error.code: error.__doc__ or "" for error in classes(InpaintError)}
    rows = [
        (
            code(name),
            str(told.http_status),
            code(told.grpc_status),
            "yes" if told.retryable else "no",
            words(meanings.get(name, f"{told.title}.")),
        )
        for name, told in ERROR_TABLE.items()
    ]
    return BEGINNING + table(("code", "HTTP", "gRPC", "retry", "meaning"), rows)


def classes(root: type[InpaintError]) -> Iterator[type[InpaintError]]:
    """The tree below `root`: parents last, so that a code that a child inherits has its parent's words."""
    for child in root.__subclasses__():
        yield from classes(child)
        yield child
