"""The submission of a job, which a caller may leave at any moment without losing hold of the job."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread

from moebius_client.job_status import JobStatus

logger = logging.getLogger(__name__)

LAST_ANSWER_TIMEOUT = 5.0  # seconds; one who leaves waits so long for the id of what is to be cancelled
UNANSWERED = (
    "The service did not answer in time. If it has got all of the upload, the job goes on to its timeout."
)


class Submission:
    """Calls `submit` in a thread of its own: Ctrl-C interrupts the caller, and not the request. Whether the service
    has got the job is then still learned.
    """

    def __init__(self, submit: Callable[[], JobStatus]) -> None:
        self._submit = submit
        self._answer: Future[JobStatus] = Future()
        # A daemon: one who leaves twice need not wait for it.
        self._thread = Thread(target=copy_context().run, args=(self._work,), daemon=True)
        self._thread.start()

    def status(self) -> JobStatus:
        """The job as it was queued. Raises what `submit` raises."""
        return self._answer.result()

    def take_back(self, cancel: Callable[[JobStatus], None]) -> None:
        """Have the job cancelled as soon as it is known, if there is one; waits a moment for that."""

        def cancel_what_is_there(answer: Future[JobStatus]) -> None:
            if answer.exception() is None:
                cancel(answer.result())

        self._answer.add_done_callback(cancel_what_is_there)
        self._thread.join(LAST_ANSWER_TIMEOUT)
        if self._thread.is_alive():
            logger.warning(UNANSWERED)

    def _work(self) -> None:
        try:
            status = self._submit()
        except BaseException as error:
            self._answer.set_exception(error)
        else:
            self._answer.set_result(status)
