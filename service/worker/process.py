"""A worker as a process: opens its engine, registers, obeys signals, and leaves nothing behind."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
from contextlib import ExitStack
from types import FrameType

from service import telemetry
from service.artifacts import load_manifest, model_folder
from service.contracts import ServedModel, WorkerRegistration
from service.engine.base import Engine
from service.engine.selection import open_engine
from service.queue.consumer import QueueConsumer
from service.settings import Settings
from service.worker.health import HealthServer
from service.worker.loop import Worker

logger = logging.getLogger(__name__)


def run_worker(settings: Settings, queue_url: str, *, supervisor: int | None = None) -> None:
    """Take jobs until SIGTERM or SIGINT; a second signal puts the running job back at once.

    With `supervisor`, the process id of a `moebius serve`, there is no port of our own, and the end of that
    process ends this one. Raises `ArtifactError`, `QueueUnavailable`, and OSError for a taken port.
    """
    engine = open_engine(settings)
    try:
        engine.warmup()
        registration = registration_of(settings, engine)
        worker = Worker(settings, QueueConsumer(queue_url, settings, registration), engine)
        _obey_signals(worker, supervisor)
        with ExitStack() as stack:
            if supervisor is None:
                health = HealthServer(settings.host, settings.metrics_port, lambda: worker.ready)
                logger.info("worker's own port", extra={"url": stack.enter_context(health).url})
            _run(worker, registration)
    finally:
        engine.close()
        if _orphaned(supervisor):
            _remove_metrics_folder()


def registration_of(settings: Settings, engine: Engine) -> WorkerRegistration:
    """What this process says of itself; the id is unique a process start."""
    info = engine.info
    model = ServedModel(
        name=info.model,
        image_size=info.image_size,
        backend=info.backend,
        device=info.device,
        precision=info.precision,
        sha256=_model_digest(settings, info.backend),
    )
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    return WorkerRegistration(worker_id, (model,), places=engine.limits.batch_sizes[-1])


def _run(worker: Worker, registration: WorkerRegistration) -> None:
    for model in registration.models:
        telemetry.set_backend_info(
            backend=model.backend, precision=model.precision, model=model.name, model_sha=model.sha256
        )
        logger.info("worker started", extra={"worker": registration.worker_id, "model": model.name})
    worker.run()
    logger.info("worker stopped", extra={"worker": registration.worker_id})


def _model_digest(settings: Settings, backend: str) -> str:
    if backend == "dummy":
        return ""
    return load_manifest(model_folder(settings.model_store, settings.model)).digest


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
