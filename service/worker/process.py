"""A worker as a process: opens its engine, registers, obeys signals, and leaves nothing behind."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from contextlib import ExitStack
from types import FrameType

from service import telemetry
from service.contracts import WorkerRegistration
from service.cores import core_count
from service.engine.selection import open_engine
from service.exit_codes import EXIT_ERROR, EXIT_HUNG, EXIT_OUT_OF_MEMORY
from service.queue.consumer import QueueConsumer
from service.settings import Settings
from service.start_stages import start_stage
from service.worker.device import DeviceError, DeviceMemoryError
from service.worker.health import HealthServer
from service.worker.loop import Worker
from service.worker.profile import BatchProfile, measure
from service.worker.registration import registration_of
from service.worker.turns import FeederError

logger = logging.getLogger(__name__)


def run_worker(settings: Settings, queue_url: str, *, supervisor: int | None = None) -> None:
    """Take jobs until SIGTERM or SIGINT; a second signal puts the held jobs back at once.

    With `supervisor`, the process id of a `moebius serve`, there is no port of our own, and the end of that
    process ends this one. Raises `ArtifactError`, `QueueUnavailable`, OSError for a taken port, and SystemExit
    with one of exit_codes.py where a fresh process should go on.
    """
    settings = settings.model_copy(update={"threads": settings.threads or core_count()})
    with start_stage("engine"):
        engine = open_engine(settings)
    try:
        with start_stage("warm-up"):
            engine.warmup()
        with start_stage("profile"):
            profile = measure(engine)
        registration = registration_of(settings, engine, profile)
        consumer = QueueConsumer(queue_url, settings, registration)
        worker = Worker(settings, consumer, engine, profile, _end_hung_process)
        _obey_signals(worker, supervisor)
        with ExitStack() as stack:
            if supervisor is None:
                health = HealthServer(
                    settings.host, settings.metrics_port, lambda: worker.ready, lambda: worker.alive
                )
                logger.info("worker's own port", extra={"url": stack.enter_context(health).url})
            _tell(registration, profile)
            _run(worker)
            logger.info("worker stopped", extra={"worker": registration.worker_id})
    finally:
        engine.close()
        if _orphaned(supervisor):
            _remove_metrics_folder()


def _tell(registration: WorkerRegistration, profile: BatchProfile) -> None:
    for model in registration.models:
        telemetry.set_backend_info(
            backend=model.backend, precision=model.precision, model=model.name, model_sha=model.sha256
        )
        logger.info(
            "worker started",
            extra={
                "worker": registration.worker_id,
                "model": model.name,
                "places": registration.places,
                "throughput": round(registration.throughput, 2),
                "step_seconds": {size: round(seconds, 5) for size, seconds in profile.step_seconds.items()},
            },
        )


def _run(worker: Worker) -> None:
    try:
        worker.run()
    except DeviceMemoryError as error:
        logger.critical("the device's memory is short", extra={"error": str(error)})
        raise SystemExit(EXIT_OUT_OF_MEMORY) from error
    except (DeviceError, FeederError) as error:
        logger.critical("this process can't go on", exc_info=error)
        raise SystemExit(EXIT_ERROR) from error


def _end_hung_process() -> None:
    """At once: nothing can be put in order while the main thread is inside the device call."""
    os._exit(EXIT_HUNG)


def _obey_signals(worker: Worker, supervisor: int | None) -> None:
    told: list[int] = []

    def obey(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        worker.stop(drain=len(told) == 1 and not _orphaned(supervisor))

    signal.signal(signal.SIGTERM, obey)
    signal.signal(signal.SIGINT, obey)


def _orphaned(supervisor: int | None) -> bool:
    return supervisor is not None and os.getppid() != supervisor


def _remove_metrics_folder() -> None:
    """Our supervisor was killed before it could remove it; nobody else will."""
    folder = os.environ.get(telemetry.MULTIPROCESS_VARIABLE)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
