"""Every metric of the service, under the names, labels and buckets of its metrics table, and the JSON logs.

A label is never a job id, a client, a seed or an exact size. Workers observe worker metrics and edges edge
metrics, so that nothing is counted twice. Where several processes share one /metrics,
PROMETHEUS_MULTIPROC_DIR must name a folder before this module is first imported.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

from service.contracts import Priority, Result, Status
from service.errors import InpaintError

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
REQUEST_BUCKETS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 13, 20, 30, 60, 120)
WAIT_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
STEP_BUCKETS = tuple(
    milliseconds / 1000
    for milliseconds in (1, 2, 4, 6, 8, 10, 15, 20, 30, 50, 75, 100, 200, 500, 1000, 2000, 5000)
)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
STAGES = ("decode", "vae_encode", "denoise", "vae_decode", "encode")
HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

HTTP_REQUESTS = Counter(
    "inpaint_http_requests", "HTTP requests answered.", ("route", "method", "code"), registry=REGISTRY
)
REQUEST_DURATION = Histogram(
    "inpaint_request_duration_seconds",
    "From admission to the answer, of requests that were enqueued.",
    ("transport", "mode"),
    buckets=REQUEST_BUCKETS,
    registry=REGISTRY,
)
REJECTED = Counter(
    "inpaint_rejected", "Requests refused before they were enqueued.", ("reason",), registry=REGISTRY
)
QUEUE_WAIT = Histogram(
    "inpaint_queue_wait_seconds",
    "From submission to the claim.",
    ("priority",),
    buckets=WAIT_BUCKETS,
    registry=REGISTRY,
)
STAGE_DURATION = Histogram(
    "inpaint_stage_duration_seconds",
    "Seconds of one stage of a job.",
    ("stage",),
    buckets=WAIT_BUCKETS,
    registry=REGISTRY,
)
STEP_DURATION = Histogram(
    "inpaint_step_duration_seconds",
    "Seconds of one denoising step of a batch.",
    ("batch_bucket",),
    buckets=STEP_BUCKETS,
    registry=REGISTRY,
)
BATCH_SIZE = Histogram(
    "inpaint_batch_size", "Items in a denoising step.", buckets=BATCH_BUCKETS, registry=REGISTRY
)
JOBS = Counter("inpaint_jobs", "Jobs that ended.", ("outcome",), registry=REGISTRY)
REDIS_ERRORS = Counter(
    "inpaint_redis_errors", "Commands that the queue server did not answer.", ("op",), registry=REGISTRY
)
BACKEND_INFO = Gauge(
    "inpaint_backend_info",
    "1 for each model that a worker has loaded.",
    ("backend", "precision", "model", "model_sha"),
    multiprocess_mode="livemax",
    registry=REGISTRY,
)


@cache
def _worker_ready() -> Gauge:
    """Made by workers only: an edge that said 0 for itself would raise an alarm."""
    return Gauge(
        "inpaint_worker_ready",
        "1 while the worker takes jobs.",
        multiprocess_mode="livemax",
        registry=REGISTRY,
    )


@cache
def _last_step_timestamp() -> Gauge:
    return Gauge(
        "inpaint_last_step_timestamp_seconds",
        "Unix time of the last denoising step.",
        multiprocess_mode="livemax",
        registry=REGISTRY,
    )


def count_http_request(route: str, method: str, code: int) -> None:
    """`route` is the template of the path, never the path itself; unusual methods share one label."""
    HTTP_REQUESTS.labels(route, method if method in HTTP_METHODS else "other", str(code)).inc()


@contextmanager
def request_timer(transport: str, mode: str, started: float) -> Iterator[None]:
    """Observe `inpaint_request_duration_seconds` from `started` (time.perf_counter) to the end of the block,
    also when it ends in an error.
    """
    try:
        yield
    finally:
        REQUEST_DURATION.labels(transport, mode).observe(time.perf_counter() - started)


@contextmanager
def counting_rejections() -> Iterator[None]:
    """Count an `InpaintError` that leaves the block in `inpaint_rejected_total`, by its code."""
    try:
        yield
    except InpaintError as error:
        REJECTED.labels(error.code).inc()
        raise


def observe_result(result: Result, priority: Priority) -> None:
    """Queue wait and stage seconds of a finished job; called once by the worker that finished it."""
    if "queue" in result.stages:
        QUEUE_WAIT.labels(priority.value).observe(result.stages["queue"])
    for stage in STAGES:
        if stage in result.stages:
            STAGE_DURATION.labels(stage).observe(result.stages[stage])


def observe_step(batch_size: int, seconds: float) -> None:
    """One denoising step over `batch_size` items; called by the worker's step loop."""
    index = bisect_left(BATCH_BUCKETS, batch_size)
    bucket = str(BATCH_BUCKETS[index]) if index < len(BATCH_BUCKETS) else "+Inf"
    BATCH_SIZE.observe(batch_size)
    STEP_DURATION.labels(bucket).observe(seconds)
    _last_step_timestamp().set_to_current_time()


def count_job(outcome: Status, jobs: int = 1) -> None:
    """Jobs reached a terminal status; called by the process that made the transition."""
    JOBS.labels(outcome.value).inc(jobs)


def count_redis_error(op: str) -> None:
    """`op` names the operation of the queue (submit, wait, claim, ...), not a key."""
    REDIS_ERRORS.labels(op).inc()


def set_backend_info(*, backend: str, precision: str, model: str, model_sha: str) -> None:
    """Tell which model a worker has loaded, and how."""
    BACKEND_INFO.labels(backend, precision, model, model_sha).set(1)


def set_worker_ready(ready: bool) -> None:
    """True while the worker takes jobs; False as soon as it drains."""
    _worker_ready().set(1 if ready else 0)


def forget_process(pid: int) -> None:
    """Drop the gauges of a process that ended, so that a dead worker does not look ready."""
    if MULTIPROCESS_VARIABLE in os.environ:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def render_metrics() -> tuple[bytes, str]:
    """The page for Prometheus and its content type; in multiprocess mode, of all processes of the folder."""
    if MULTIPROCESS_VARIABLE not in os.environ:
        return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "color_message", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what `extra` gave, and the traceback, if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Render `record`; values that JSON does not know are written as text."""
        entry: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update((k, v) for k, v in vars(record).items() if k not in _OWN_ATTRIBUTES)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)

    converter = staticmethod(time.gmtime)


def configure_logging(level: str) -> None:
    """Send every logger of the process to stderr as JSON lines, at `level` (debug, info, warning, error)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Its line for each request repeats what ours says, with the full address.
    logging.getLogger("httpx").setLevel(logging.WARNING)
