"""Client of the Moebius inpainting service, over HTTP or gRPC. Needs no model: pip install 'moebius[client]'.

`Client(server).inpaint("photo.jpg", "mask.png", seed=7).save("filled.jpg")` is the shortest use; `AsyncClient` is the
same for asyncio, and `submit` gives a job that goes on alone.
"""

from moebius_client.async_client import AsyncClient
from moebius_client.async_job import AsyncJob
from moebius_client.client import Client
from moebius_client.errors import (
    ConnectionFailed,
    ConnectionTimedOut,
    InternalError,
    InvalidInput,
    InvalidPicture,
    InvalidRequest,
    JobCancelled,
    JobError,
    JobExpired,
    JobNotFinished,
    JobNotFound,
    MoebiusError,
    Overloaded,
    Problem,
    QueueLost,
    ServiceError,
    Unauthenticated,
    Unavailable,
)
from moebius_client.job import Job
from moebius_client.job_event import JobEvent, Preview
from moebius_client.job_status import JobStatus
from moebius_client.parameters import Parameters
from moebius_client.pictures import Picture
from moebius_client.result import Box, Candidate, Result
from moebius_client.retry import Retry
from moebius_client.served_model import ServedModel
from moebius_client.transport import AsyncTransport, Transport

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "AsyncTransport",
    "Box",
    "Candidate",
    "Client",
    "ConnectionFailed",
    "ConnectionTimedOut",
    "InternalError",
    "InvalidInput",
    "InvalidPicture",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobError",
    "JobEvent",
    "JobExpired",
    "JobNotFinished",
    "JobNotFound",
    "JobStatus",
    "MoebiusError",
    "Overloaded",
    "Parameters",
    "Picture",
    "Preview",
    "Problem",
    "QueueLost",
    "Result",
    "Retry",
    "ServedModel",
    "ServiceError",
    "Transport",
    "Unauthenticated",
    "Unavailable",
]
