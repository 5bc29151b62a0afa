"""What the service tells of itself as metrics: one function for each thing that happens (metrics.py: the table).

Workers observe worker metrics and edges edge metrics, so that nothing is counted twice.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess

from service import metrics
from service.contracts import TERMINAL, Priority, Result, Status
from service.errors import InpaintError
from service.queue_gauges import QueueCollector
from service.queue_load import QueueLoad

REGISTRY = metrics.REGISTRY
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
STAGES = ("decode", "vae_encode", "denoise", "vae_decode", "encode")
HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# At 0 from the start: from absent to 1 is no increase, and the first dead letter would be unseen.
for _outcome in TERMINAL:
    metrics.JOBS.labels(_outcome.value)


def count_http_request(route: str, method: str, code: int) -> None:
    """`route` is the template of the path, never the path itself; unusual methods share one label."""
    metrics.HTTP_REQUESTS.labels(route, method if method in HTTP_METHODS else "other", str(code)).inc()


def count_grpc_request(method: str, code: str) -> None:
    """`method` is one of our services' (never what a client made up); `code` is the status's name: OK, ..."""
    metrics.GRPC_REQUESTS.labels(method, code).inc()


@contextmanager
def request_timer(transport: str, mode: str, started: float) -> Iterator[None]:
    """Observe `inpaint_request_duration_seconds` from `started` (time.perf_counter) to the end of the block,
    also when it ends in an error.
    """
    try:
        yield
    finally:
        metrics.REQUEST_DURATION.labels(transport, mode).observe(time.perf_counter() - started)


@contextmanager
def counting_rejections() -> Iterator[None]:
    """Count an `InpaintError` that leaves the block in `inpaint_rejected_total`, by its code."""
    try:
        yield
    except InpaintError as error:
        metrics.REJECTED.labels(error.code).inc()
        raise


def count_job(outcome: Status, jobs: int = 1) -> None:
    """Jobs reached a terminal status; called by the process that made the transition."""
    metrics.JOBS.labels(outcome.value).inc(jobs)


def count_redelivery(jobs: int = 1) -> None:
    """Jobs whose lease had run out went back into the queue; called by the worker that put them there."""
    metrics.REDELIVERIES.inc(jobs)


def count_lease_lost(jobs: int = 1) -> None:
    """A worker learned that jobs it works on are no longer its own; called by that worker."""
    metrics.LEASE_LOST.inc(jobs)


def count_superseded_result() -> None:
    """A finished job's result was refused: another attempt, a cancel or the deadline was first."""
    metrics.SUPERSEDED_RESULTS.inc()


def count_redis_error(op: str) -> None:
    """`op` names the operation of the queue (submit, wait, claim, ...), not a key."""
    metrics.REDIS_ERRORS.labels(op).inc()


def observe_result(result: Result, priority: Priority) -> None:
    """Queue wait and stage seconds of a finished job; called once by the worker that finished it."""
    if "queue" in result.stages:
        metrics.QUEUE_WAIT.labels(priority.value).observe(result.stages["queue"])
    for stage in STAGES:
        if stage in result.stages:
            metrics.STAGE_DURATION.labels(stage).observe(result.stages[stage])


def observe_step(batch_size: int, seconds: float) -> None:
    """One denoising step over `batch_size` items; called by the worker's step loop."""
    index = bisect_left(metrics.BATCH_BUCKETS, batch_size)
    bucket = str(metrics.BATCH_BUCKETS[index]) if index < len(metrics.BATCH_BUCKETS) else "+Inf"
    metrics.BATCH_SIZE.observe(batch_size)
    metrics.STEP_DURATION.labels(bucket).observe(seconds)
    metrics.last_step_timestamp().set_to_current_time()


def observe_join_wait(steps: int) -> None:
    """A request got its first place after `steps` steps of the running batch went without it."""
    metrics.JOIN_WAIT.observe(steps)


def set_places(taken: int, cap: int) -> None:
    """Items in the step that begins now, and the most that it might have; called by the worker's step loop."""
    metrics.PLACES.labels("taken").set(taken)
    metrics.PLACES.labels("free").set(max(0, cap - taken))


def add_device_busy(seconds: float) -> None:
    """The device worked that long: a step, or VAE work."""
    metrics.DEVICE_BUSY.inc(seconds)


def set_device_memory(kinds: Mapping[str, int]) -> None:
    """Bytes of the device by kind, as `Engine.memory_bytes` tells them."""
    for kind, amount in kinds.items():
        metrics.DEVICE_MEMORY.labels(kind).set(amount)


def count_oom() -> None:
    """The device had no memory for a batch."""
    metrics.OUT_OF_MEMORY.inc()


def set_backend_info(*, backend: str, precision: str, model: str, model_sha: str) -> None:
    """Tell which model a worker has loaded, and how."""
    metrics.BACKEND_INFO.labels(backend, precision, model, model_sha).set(1)


def set_worker_ready(ready: bool) -> None:
    """True while the worker takes jobs; False as soon as it drains."""
    metrics.worker_ready().set(1 if ready else 0)


def count_worker_restart() -> None:
    """A supervisor starts a worker again that had died."""
    metrics.WORKER_RESTARTS.inc()


def forget_process(pid: int) -> None:
    """Drop the gauges of a process that ended, so that a dead worker does not look ready."""
    if MULTIPROCESS_VARIABLE in os.environ:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def render_metrics(load: QueueLoad | None = None) -> tuple[bytes, str]:
    """The page for Prometheus and its content type; in multiprocess mode, of all processes of the folder.

    `load` is what the queue holds now; without it the page says nothing of the queue, rather than something old.
    """
    registry = REGISTRY
    if MULTIPROCESS_VARIABLE in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    page = generate_latest(registry)
    if load is not None:
        queue = CollectorRegistry()
        queue.register(QueueCollector(load))
        page += generate_latest(queue)
    return page, CONTENT_TYPE_LATEST
