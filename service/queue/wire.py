"""How jobs, results and registrations look in Redis: JSON for what describes, raw bytes for pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from service.contracts import Job, Params, Result, ServedModel, WorkerRegistration

_RESULT = TypeAdapter(Result)
_MODELS = TypeAdapter(tuple[ServedModel, ...])


JOB_FIELDS = ("client", "params", "deadline", "places", "traceparent", "tracestate")


def decode_job(job_id: str, fields: Sequence[Any], image: bytes, mask: bytes) -> Job:
    """A job from its hash's JOB_FIELDS, in bytes; None where there is none, as outside of a trace. Raises ValueError
    where another version wrote it.
    """
    client, params, deadline, places, traceparent, tracestate = fields
    return Job(
        id=job_id,
        client=client.decode(),
        params=Params.model_validate_json(params),
        image=image,
        mask=mask,
        deadline=int(deadline) / 1000,
        places=int(places),
        traceparent=traceparent.decode() if traceparent else None,
        tracestate=tracestate.decode() if tracestate else None,
    )


def encode_result(result: Result) -> dict[str, bytes]:
    """Fields of the result's hash: `meta`, `picture:I` for each candidate, and `effective_mask` if there is one."""
    meta = asdict(result)
    pictures, mask = meta.pop("pictures"), meta.pop("effective_mask")
    fields = {f"picture:{index}": picture for index, picture in enumerate(pictures)}
    if mask is not None:
        fields["effective_mask"] = mask
    return {"meta": json.dumps(meta).encode(), **fields}


def decode_result(fields: Mapping[bytes, bytes]) -> Result:
    """Inverse of `encode_result`. Raises ValueError where another version wrote it."""
    meta = json.loads(fields[b"meta"])
    count = sum(1 for name in fields if name.startswith(b"picture:"))
    pictures = tuple(fields[b"picture:%d" % index] for index in range(count))
    mask = fields.get(b"effective_mask")
    return _RESULT.validate_python({**meta, "pictures": pictures, "effective_mask": mask})


def encode_models(worker: WorkerRegistration) -> bytes:
    """The models of a worker's registration."""
    return _MODELS.dump_json(worker.models)


def decode_models(data: bytes) -> tuple[ServedModel, ...]:
    """Inverse of `encode_models`. Raises ValueError where another version wrote it."""
    return _MODELS.validate_json(data)
