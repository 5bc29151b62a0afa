"""What may go wrong, as one tree, and which of the service's codes becomes which error.

MoebiusError
├── InvalidInput            what was given can't be sent; a ValueError, too
├── ConnectionFailed        no answer came: nobody listens there, or the connection was lost
│   └── ConnectionTimedOut
└── ServiceError            the service answered with a problem
    ├── InvalidRequest      a parameter, or the request as a whole, is wrong
    │   └── Unauthenticated
    ├── InvalidPicture      the image or the mask can't be used
    ├── JobError            the job has no picture
    │   ├── JobNotFound
    │   ├── JobNotFinished
    │   ├── JobCancelled
    │   └── JobExpired
    ├── Overloaded          too much work waits; `retry_after` says for how long
    ├── Unavailable         the service can't answer now
    │   └── QueueLost       it has lost the job; send it again
    └── InternalError       a fault of the service
"""

from __future__ import annotations

from dataclasses import dataclass


class MoebiusError(Exception):
    """Root of all that this package raises by itself; a file that can't be read stays an OSError."""


class InvalidInput(MoebiusError, ValueError):
    """A picture, an address or a name that can't be sent. Says what is allowed."""


class ConnectionFailed(MoebiusError):
    """No answer: nobody listens at the address, or the connection was lost."""


class ConnectionTimedOut(ConnectionFailed):
    """Nothing came for `network_timeout` seconds."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What the service says of a failure (RFC 9457): a stable `code` for programs, a `detail` for people.

    `status` is HTTP's, and None where gRPC did not tell it. `retryable`: the same request may succeed later.
    """

    code: str
    detail: str
    title: str = ""
    status: int | None = None
    retryable: bool = False


class ServiceError(MoebiusError):
    """The service refused a request, or a job ended without a picture. Its text is the problem's detail.

    `retry_after`: seconds after which the service asks to be tried again, None where it did not say.
    """

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after = retry_after

    @property
    def code(self) -> str:
        """Stable name of the problem."""
        return self.problem.code

    @property
    def status(self) -> int | None:
        """HTTP status, None where gRPC did not tell it."""
        return self.problem.status


class InvalidRequest(ServiceError):
    """A parameter, or the request as a whole, is wrong."""


class Unauthenticated(InvalidRequest):
    """The service asks for an API key, and none or an unknown one was sent."""


class InvalidPicture(ServiceError):
    """The image or the mask can't be used."""


class JobError(ServiceError):
    """The job has no picture."""


class JobNotFound(JobError):
    """No such job, or another client's, or its result's lifetime is over."""


class JobNotFinished(JobError):
    """The job waits or runs; its result comes later."""


class JobCancelled(JobError):
    """The job was cancelled."""


class JobExpired(JobError):
    """The job's timeout passed before its picture was ready."""


class Overloaded(ServiceError):
    """Too much work waits there."""


class Unavailable(ServiceError):
    """The service can't answer now: no worker serves the model, or a part of it is down."""


class QueueLost(Unavailable):
    """The service lost the job, with its queue's data."""


class InternalError(ServiceError):
    """A fault of the service."""


CODES: dict[str, type[ServiceError]] = {
    **dict.fromkeys(
        (
            "invalid_request",
            "malformed_http",
            "upload_stalled",
            "unsupported_media_type",
            "missing_part",
            "unknown_field",
            "invalid_parameter",
            "unknown_model",
            "not_acceptable",
            "unknown_route",
            "method_not_allowed",
            "idempotency_conflict",
        ),
        InvalidRequest,
    ),
    "unauthenticated": Unauthenticated,
    **dict.fromkeys(
        (
            "invalid_picture",
            "payload_too_large",
            "too_many_pixels",
            "picture_too_small",
            "not_an_image",
            "truncated_image",
            "animated_image",
            "unsupported_picture",
            "invalid_color_profile",
            "empty_mask",
            "mask_size_mismatch",
        ),
        InvalidPicture,
    ),
    "job_failed": JobError,
    "job_dead_lettered": JobError,
    "job_not_found": JobNotFound,
    "job_not_finished": JobNotFinished,
    "mask_not_kept": JobError,
    "job_cancelled": JobCancelled,
    "job_expired": JobExpired,
    "queue_full": Overloaded,
    "deadline_unreachable": Overloaded,
    "unavailable": Unavailable,
    "queue_unavailable": Unavailable,
    "not_ready": Unavailable,
    "queue_lost": QueueLost,
    "artifact_invalid": InternalError,
    "internal": InternalError,
}
STATUSES: dict[int, type[ServiceError]] = {
    401: Unauthenticated,
    429: Overloaded,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(problem: Problem, retry_after: float | None = None) -> ServiceError:
    """The error that a problem stands for: by its code, or by its status where a proxy answered, or a service
    that is newer than this client.
    """
    return (CODES.get(problem.code) or _class_of_status(problem.status))(problem, retry_after)


def _class_of_status(status: int | None) -> type[ServiceError]:
    if status is None:
        return ServiceError
    by_kind = InvalidRequest if status < 500 else InternalError
    return STATUSES.get(status, by_kind)
