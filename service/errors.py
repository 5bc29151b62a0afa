"""The error tree and the one table that maps every code to HTTP, gRPC and retryability.

InpaintError
├── InvalidRequest          wrong fields, missing parts, wrong content type
│   ├── MalformedHttp       no HTTP, or header fields beyond all measure
│   ├── UploadStalled       the rest of a body did not come
│   ├── UnsupportedMediaType
│   ├── MissingPart
│   ├── UnknownField
│   ├── InvalidParameter
│   ├── UnknownModel
│   ├── NotAcceptable
│   ├── UnknownRoute
│   ├── MethodNotAllowed
│   ├── Unauthenticated     no API key, or one that is not known
│   └── IdempotencyConflict the key was used for another request
├── InvalidPicture          the image or the mask can't be used
│   ├── PayloadTooLarge
│   ├── TooManyPixels
│   ├── PictureTooSmall
│   ├── NotAnImage
│   ├── TruncatedImage
│   ├── AnimatedImage
│   ├── UnsupportedPicture
│   ├── InvalidColorProfile
│   ├── EmptyMask
│   └── MaskSizeMismatch
├── JobError
│   ├── JobNotFound
│   ├── JobNotFinished      its result was asked for too early
│   ├── MaskNotKept         the effective mask of a job that was not asked for it
│   ├── JobExpired          its deadline passed
│   ├── JobCancelled
│   └── JobDeadLettered     tried several times, each time its worker was lost
├── Unavailable
│   ├── QueueFull
│   │   └── DeadlineUnreachable  the backlog is longer than the deadline
│   ├── QueueUnavailable
│   ├── QueueLost
│   └── NotReady
├── ArtifactError           a model's files are missing, changed or don't fit
└── InternalError           ours; the client may retry
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class InpaintError(Exception):
    """Root of all that a user may be told. `detail` says what was wrong, what is allowed, what to do; `field` is the
    request's field at fault, where one alone is and it is known.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, retry_after: float | None = None, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.field = field


class InvalidRequest(InpaintError):
    """The request is not of the interface's shape."""

    code = "invalid_request"


class MalformedHttp(InvalidRequest):
    """The bytes are no HTTP/1.1 request, or its header fields are too large."""

    code = "malformed_http"


class UploadStalled(InvalidRequest):
    """The body's beginning came, and then nothing more."""

    code = "upload_stalled"


class UnsupportedMediaType(InvalidRequest):
    """The content type is neither multipart/form-data nor application/json."""

    code = "unsupported_media_type"


class MissingPart(InvalidRequest):
    """A required part or field is absent."""

    code = "missing_part"


class UnknownField(InvalidRequest):
    """A field that the interface does not define."""

    code = "unknown_field"


class InvalidParameter(InvalidRequest):
    """A parameter out of its range or of the wrong type."""

    code = "invalid_parameter"


class UnknownModel(InvalidRequest):
    """No model of that name is served."""

    code = "unknown_model"


class NotAcceptable(InvalidRequest):
    """The answer can't be given in a form that the client accepts."""

    code = "not_acceptable"


class UnknownRoute(InvalidRequest):
    """Nothing is served at that path."""

    code = "unknown_route"


class MethodNotAllowed(InvalidRequest):
    """The path does not serve that method."""

    code = "method_not_allowed"


class Unauthenticated(InvalidRequest):
    """The service asks for an API key, and none or an unknown one came."""

    code = "unauthenticated"


class IdempotencyConflict(InvalidRequest):
    """The idempotency key was used before, for another request."""

    code = "idempotency_conflict"


class InvalidPicture(InpaintError):
    """The image or the mask can't be used."""

    code = "invalid_picture"


class PayloadTooLarge(InvalidPicture):
    """More bytes than allowed."""

    code = "payload_too_large"


class TooManyPixels(InvalidPicture):
    """More pixels than allowed."""

    code = "too_many_pixels"


class PictureTooSmall(InvalidPicture):
    """A side is zero or below the minimum."""

    code = "picture_too_small"


class NotAnImage(InvalidPicture):
    """The bytes are no picture that we read."""

    code = "not_an_image"


class TruncatedImage(InvalidPicture):
    """The picture's data ends early or is damaged."""

    code = "truncated_image"


class AnimatedImage(InvalidPicture):
    """More than one frame or page."""

    code = "animated_image"


class UnsupportedPicture(InvalidPicture):
    """A pixel format that can't be kept exactly."""

    code = "unsupported_picture"


class InvalidColorProfile(InvalidPicture):
    """The embedded ICC profile can't be read or does not fit the pixels."""

    code = "invalid_color_profile"


class EmptyMask(InvalidPicture):
    """The mask selects nothing."""

    code = "empty_mask"


class MaskSizeMismatch(InvalidPicture):
    """The mask has another aspect than the picture."""

    code = "mask_size_mismatch"


class JobError(InpaintError):
    """A job that has no picture."""

    code = "job_failed"


class JobNotFound(JobError):
    """No such job, or not this client's."""

    code = "job_not_found"


class JobNotFinished(JobError):
    """The job is waiting or running; its result comes later."""

    code = "job_not_finished"


class MaskNotKept(JobError):
    """The job was sent without asking for its effective mask."""

    code = "mask_not_kept"


class JobExpired(JobError):
    """The deadline passed before the picture was ready."""

    code = "job_expired"


class JobCancelled(JobError):
    """The job was cancelled."""

    code = "job_cancelled"


class JobDeadLettered(JobError):
    """Every attempt lost its worker."""

    code = "job_dead_lettered"


class Unavailable(InpaintError):
    """The service can't take the request now."""

    code = "unavailable"


class QueueFull(Unavailable):
    """The queue is bounded and full."""

    code = "queue_full"


class DeadlineUnreachable(QueueFull):
    """The work before this job is predicted to take longer than its deadline allows."""

    code = "deadline_unreachable"


class QueueUnavailable(Unavailable):
    """The queue server does not answer."""

    code = "queue_unavailable"


class QueueLost(Unavailable):
    """The queue server lost its data while a client waited."""

    code = "queue_lost"


class NotReady(Unavailable):
    """No worker serves the model, or the service is stopping."""

    code = "not_ready"


class ArtifactError(InpaintError):
    """A model's files are missing, changed or don't fit."""

    code = "artifact_invalid"


class InternalError(InpaintError):
    """A fault of ours."""

    code = "internal"


@dataclass(frozen=True, slots=True)
class ErrorMapping:
    """How one code is told over each transport."""

    http_status: int
    grpc_status: str
    retryable: bool
    title: str


ERROR_TABLE: dict[str, ErrorMapping] = {
    "invalid_request": ErrorMapping(422, "INVALID_ARGUMENT", False, "The request is not valid"),
    "malformed_http": ErrorMapping(400, "INVALID_ARGUMENT", False, "Not a readable HTTP request"),
    "upload_stalled": ErrorMapping(408, "DEADLINE_EXCEEDED", True, "The upload stalled"),
    "unsupported_media_type": ErrorMapping(415, "INVALID_ARGUMENT", False, "Unsupported content type"),
    "missing_part": ErrorMapping(422, "INVALID_ARGUMENT", False, "A required part is missing"),
    "unknown_field": ErrorMapping(422, "INVALID_ARGUMENT", False, "Unknown field"),
    "invalid_parameter": ErrorMapping(422, "INVALID_ARGUMENT", False, "A parameter is not valid"),
    "unknown_model": ErrorMapping(422, "INVALID_ARGUMENT", False, "Unknown model"),
    "not_acceptable": ErrorMapping(406, "INVALID_ARGUMENT", False, "No acceptable form of the answer"),
    "unknown_route": ErrorMapping(404, "UNIMPLEMENTED", False, "Unknown route"),
    "method_not_allowed": ErrorMapping(405, "UNIMPLEMENTED", False, "Method not allowed"),
    "unauthenticated": ErrorMapping(401, "UNAUTHENTICATED", False, "An API key is needed"),
    "idempotency_conflict": ErrorMapping(
        422, "INVALID_ARGUMENT", False, "The idempotency key was used before"
    ),
    "invalid_picture": ErrorMapping(422, "INVALID_ARGUMENT", False, "The picture can't be used"),
    "payload_too_large": ErrorMapping(413, "INVALID_ARGUMENT", False, "Too many bytes"),
    "too_many_pixels": ErrorMapping(422, "INVALID_ARGUMENT", False, "Too many pixels"),
    "picture_too_small": ErrorMapping(422, "INVALID_ARGUMENT", False, "The picture is too small"),
    "not_an_image": ErrorMapping(422, "INVALID_ARGUMENT", False, "Not an image"),
    "truncated_image": ErrorMapping(422, "INVALID_ARGUMENT", False, "The image is truncated"),
    "animated_image": ErrorMapping(422, "INVALID_ARGUMENT", False, "More than one frame"),
    "unsupported_picture": ErrorMapping(422, "INVALID_ARGUMENT", False, "Unsupported kind of picture"),
    "invalid_color_profile": ErrorMapping(422, "INVALID_ARGUMENT", False, "The colour profile can't be used"),
    "empty_mask": ErrorMapping(422, "INVALID_ARGUMENT", False, "The mask is empty"),
    "mask_size_mismatch": ErrorMapping(422, "INVALID_ARGUMENT", False, "Mask and image do not match"),
    "job_failed": ErrorMapping(500, "INTERNAL", False, "The job failed"),
    "job_not_found": ErrorMapping(404, "NOT_FOUND", False, "Unknown job"),
    "job_not_finished": ErrorMapping(409, "FAILED_PRECONDITION", True, "The job has not ended yet"),
    "mask_not_kept": ErrorMapping(404, "NOT_FOUND", False, "The effective mask was not asked for"),
    "job_expired": ErrorMapping(504, "DEADLINE_EXCEEDED", True, "The deadline passed"),
    "job_cancelled": ErrorMapping(409, "CANCELLED", False, "The job was cancelled"),
    "job_dead_lettered": ErrorMapping(500, "INTERNAL", False, "The job was given up"),
    "unavailable": ErrorMapping(503, "UNAVAILABLE", True, "The service is unavailable"),
    "queue_full": ErrorMapping(429, "RESOURCE_EXHAUSTED", True, "Too many requests are waiting"),
    "deadline_unreachable": ErrorMapping(429, "RESOURCE_EXHAUSTED", True, "Too much work is waiting"),
    "queue_unavailable": ErrorMapping(503, "UNAVAILABLE", True, "The queue does not answer"),
    "queue_lost": ErrorMapping(503, "UNAVAILABLE", True, "The queue lost its data"),
    "not_ready": ErrorMapping(503, "UNAVAILABLE", True, "The service is not ready"),
    "artifact_invalid": ErrorMapping(500, "INTERNAL", False, "A model's files are not valid"),
    "internal": ErrorMapping(500, "INTERNAL", True, "Internal error"),
}


def _tree(root: type[InpaintError]) -> dict[str, type[InpaintError]]:
    """Every class below `root`, by code; a parent wins where a child repeats its code."""
    classes: dict[str, type[InpaintError]] = {}
    for child in root.__subclasses__():
        classes.setdefault(child.code, child)
        for code, grandchild in _tree(child).items():
            classes.setdefault(code, grandchild)
    return classes


def error_for(code: str, detail: str) -> InpaintError:
    """Rebuild the exception that a code from the queue stands for; an unknown one is `InternalError`."""
    return _tree(InpaintError).get(code, InternalError)(detail)
