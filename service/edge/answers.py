"""Answers of the HTTP routes: a finished job as its picture or as a document, and a job that goes on."""

from __future__ import annotations

from fastapi import Response

from service.contracts import JobStatus, Result
from service.edge.handlers import InpaintAnswer
from service.edge.job_schemas import job_document, job_path
from service.edge.schemas import inpaint_response
from service.edge.threads import in_thread


async def result_answer(answer: InpaintAnswer, candidate: int | None) -> Response:
    """The picture of one candidate, or the document of all if `candidate` is None."""
    result = answer.result
    if candidate is None:
        document = await in_thread(lambda: inpaint_response(answer).model_dump_json())
        return Response(document, headers=_headers(answer, 0), media_type="application/json")
    return Response(
        result.pictures[candidate], headers=_headers(answer, candidate), media_type=result.content_type
    )


def accepted_answer(job: JobStatus, *, preferred: bool = False) -> Response:
    """202 with the job's document and where to find it; `preferred`: as the Prefer header asked for."""
    headers = {"Location": job_path(job.id)}
    if preferred:
        headers["Preference-Applied"] = "respond-async"
    return Response(
        job_document(job).model_dump_json(), status_code=202, headers=headers, media_type="application/json"
    )


def _headers(answer: InpaintAnswer, candidate: int) -> dict[str, str]:
    result = answer.result
    headers = {
        "X-Job-Id": answer.job_id,
        "X-Seed": str(result.seeds[candidate]),
        "X-Model": result.model,
        "Server-Timing": _server_timing(result),
    }
    if result.boxes:
        headers["X-Boxes"] = " ".join(f"{b.left},{b.top},{b.right},{b.bottom}" for b in result.boxes)
    if result.notes:
        headers["X-Notes"] = header_text("; ".join(result.notes))
    return headers


def _server_timing(result: Result) -> str:
    """Milliseconds by stage (W3C Server Timing)."""
    return ", ".join(f"{stage};dur={seconds * 1000:.1f}" for stage, seconds in result.stages.items())


def header_text(text: str) -> str:
    """`text` as a header field holds it: one line of ASCII."""
    return " ".join(text.split()).encode("ascii", "replace").decode("ascii")
