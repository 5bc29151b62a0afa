"""The form of an answer, from Accept (RFC 9110, section 12.5.1) and the parameters: JSON, or one picture."""

from __future__ import annotations

from dataclasses import dataclass

from service.contracts import OutputFormat, Params, Result
from service.errors import InvalidParameter, NotAcceptable

JSON = "application/json"
PICTURES = {f"image/{output.value}": output for output in OutputFormat}
ANY_PICTURE = ("*/*", "image/*")
OFFERED = ", ".join((*PICTURES, JSON))


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """`as_json`: the document with all pictures. `output_format` None: the input's own format."""

    as_json: bool
    output_format: OutputFormat | None


def choose_answer_form(accept: str | None, params: Params) -> AnswerForm:
    """Raises `NotAcceptable` when we have nothing that is accepted, or n > 1 pictures would need one body.

    A wildcard means the input's own format (or `output_format`), whatever picture types stand beside it:
    browsers list their favourites that way, and a photo must not change its format because of that.
    """
    ranges = _by_preference(accept or "*/*")
    if _first_answerable(ranges) == JSON:
        return AnswerForm(as_json=True, output_format=params.output_format)
    if params.n > 1:
        raise NotAcceptable(
            f"n is {params.n}, and a picture answer holds one. Send Accept: {JSON} to get them all, or n=1."
        )
    if any(media_range in ANY_PICTURE for media_range in ranges):
        return AnswerForm(as_json=False, output_format=params.output_format)
    return AnswerForm(as_json=False, output_format=_named_format(ranges, params, accept or ""))


def choose_result_form(accept: str | None, result: Result, candidate: int | None) -> int | None:
    """The candidate whose picture answers, or None for the document with all pictures; of a result whose format
    was chosen when the job was queued.

    Raises `InvalidParameter` for a candidate that there is not, and `NotAcceptable` where the pictures' format
    is not accepted, or where n > 1 pictures would need one body.
    """
    count = len(result.pictures)
    if candidate is not None and candidate >= count:
        raise InvalidParameter(f"candidate is {candidate}, but the job has {count}; the first is 0.")
    ranges = _by_preference(accept or "*/*")
    answerable = (JSON, result.content_type, *ANY_PICTURE)
    wanted = next((media_range for media_range in ranges if media_range in answerable), None)
    if wanted is None:
        raise NotAcceptable(
            f"Accept is {(accept or '')[:200]!r}, but the result is {result.content_type}, or {JSON}. "
            "Its format was chosen by output_format (or Accept) when the job was sent."
        )
    if wanted == JSON and candidate is None:
        return None
    if candidate is None and count > 1:
        raise NotAcceptable(
            f"The job has {count} pictures, and a picture answer holds one. Send Accept: {JSON} to get them all, "
            "or ?candidate=0 for the first."
        )
    return candidate or 0


def _first_answerable(ranges: list[str]) -> str | None:
    offered = (JSON, *PICTURES, *ANY_PICTURE)
    return next((media_range for media_range in ranges if media_range in offered), None)


def _named_format(ranges: list[str], params: Params, accept: str) -> OutputFormat:
    named = [PICTURES[media_range] for media_range in ranges if media_range in PICTURES]
    if not named:
        raise NotAcceptable(f"Accept is {accept[:200]!r}, but the answer can only be one of {OFFERED}.")
    if params.output_format is None:
        return named[0]
    if params.output_format not in named:
        raise NotAcceptable(
            f"output_format is {params.output_format.value}, but Accept is {accept[:200]!r}. "
            "Leave one of them out, or let them agree."
        )
    return params.output_format


def _by_preference(accept: str) -> list[str]:
    """Media ranges, most wanted first; those with q=0 left out."""
    weighted: list[tuple[float, str]] = []
    for entry in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in entry.split(";"))
        quality = next((_quality(part[2:]) for part in parameters if part.startswith("q=")), 1.0)
        if quality > 0:
            weighted.append((quality, media_range))
    return [media_range for _, media_range in sorted(weighted, key=lambda pair: -pair[0])]


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
