"""The table of metrics: names, labels, buckets, and how the values of several processes become one.

A label is never a job id, a client, a seed or an exact size. Only telemetry.py touches what is defined here.
Where several processes share one /metrics, PROMETHEUS_MULTIPROC_DIR must name a folder before this module is
first imported. Live gauges are those of living processes alone; of a counter, the dead ones' part stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

REQUEST_BUCKETS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 13, 20, 30, 60, 120)
WAIT_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
STEP_BUCKETS = tuple(
    milliseconds / 1000
    for milliseconds in (1, 2, 4, 6, 8, 10, 15, 20, 30, 50, 75, 100, 200, 500, 1000, 2000, 5000)
)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
JOIN_WAIT_BUCKETS = (0, 1, 2, 3, 5, 8, 13, 20, 40, 100)

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

counter = partial(Counter, registry=REGISTRY)
histogram = partial(Histogram, registry=REGISTRY)
gauge = partial(Gauge, registry=REGISTRY)


@dataclass(frozen=True, slots=True)
class QueueGauge:
    """What an edge reads from the queue at each scrape; absent while the queue does not answer. Every edge tells
    the whole queue: aggregate with max.
    """

    name: str
    documentation: str
    labels: tuple[str, ...]


HTTP_REQUESTS = counter("inpaint_http_requests", "HTTP requests answered.", ("route", "method", "code"))
GRPC_REQUESTS = counter("inpaint_grpc_requests", "gRPC calls answered.", ("method", "code"))
REQUEST_DURATION = histogram(
    "inpaint_request_duration_seconds",
    "From admission to the answer, of requests that were enqueued.",
    ("transport", "mode"),
    buckets=REQUEST_BUCKETS,
)
REJECTED = counter("inpaint_rejected", "Requests refused before they were enqueued.", ("reason",))

QUEUE_WAIT = histogram(
    "inpaint_queue_wait_seconds", "From submission to the claim.", ("priority",), buckets=WAIT_BUCKETS
)
JOBS = counter("inpaint_jobs", "Jobs that ended.", ("outcome",))
REDELIVERIES = counter("inpaint_redeliveries", "Jobs put back since their worker was silent.")
LEASE_LOST = counter("inpaint_lease_lost", "Jobs that a worker had to drop: their lease was gone.")
SUPERSEDED_RESULTS = counter("inpaint_superseded_results", "Results thrown away: they came too late.")
REDIS_ERRORS = counter("inpaint_redis_errors", "Commands that the queue server did not answer.", ("op",))

QUEUE_JOBS = QueueGauge("inpaint_queue_jobs", "Jobs in the queue.", ("priority", "state"))
OLDEST_JOB_AGE = QueueGauge(
    "inpaint_oldest_job_age_seconds", "Age of the oldest job that waits, or 0.", ("priority",)
)
READY_COST = QueueGauge(
    "inpaint_queue_ready_cost", "Evaluations of the network that waiting jobs need.", ("model", "priority")
)
WORKERS = QueueGauge("inpaint_workers", "Workers that are registered with the queue.", ("model",))
WORKER_CAPACITY = QueueGauge(
    "inpaint_worker_capacity",
    "Evaluations a second that these workers do, as their latest steps tell.",
    ("model",),
)
REDIS_MEMORY = QueueGauge(
    "inpaint_redis_memory_bytes", "Memory of the queue's server, and its limit if it has one.", ("kind",)
)

STAGE_DURATION = histogram(
    "inpaint_stage_duration_seconds", "Seconds of one stage of a job.", ("stage",), buckets=WAIT_BUCKETS
)
STEP_DURATION = histogram(
    "inpaint_step_duration_seconds",
    "Seconds of one denoising step of a batch.",
    ("batch_bucket",),
    buckets=STEP_BUCKETS,
)
BATCH_SIZE = histogram("inpaint_batch_size", "Items in a denoising step.", buckets=BATCH_BUCKETS)
JOIN_WAIT = histogram(
    "inpaint_join_wait_steps",
    "Steps of the running batch that a claimed request waited for a place.",
    buckets=JOIN_WAIT_BUCKETS,
)
PLACES = gauge(
    "inpaint_places",
    "Places of the workers' running batches by state, taken or free.",
    ("state",),
    multiprocess_mode="livesum",
)
DEVICE_BUSY = counter("inpaint_gpu_busy_seconds", "Seconds that a device was at work, whatever its kind.")
DEVICE_MEMORY = gauge(
    "inpaint_gpu_memory_bytes",
    "Memory of the devices, where the backend can tell.",
    ("kind",),
    multiprocess_mode="livesum",
)
OUT_OF_MEMORY = counter("inpaint_oom", "Batches that the device had no memory for.")
WORKER_RESTARTS = counter("inpaint_worker_restarts", "Workers that died and were started again.")
BACKEND_INFO = gauge(
    "inpaint_backend_info",
    "1 for each model that a worker has loaded.",
    ("backend", "precision", "model", "model_sha"),
    multiprocess_mode="livemax",
)


@cache
def worker_ready() -> Gauge:
    """Made by workers only: an edge that said 0 for itself would raise an alarm."""
    return gauge(
        "inpaint_worker_ready", "Workers of this page that take jobs: 1 or 0.", multiprocess_mode="livesum"
    )


@cache
def last_step_timestamp() -> Gauge:
    """Made by workers only, as above."""
    return gauge(
        "inpaint_last_step_timestamp_seconds",
        "Unix time of the last denoising step.",
        multiprocess_mode="livemax",
    )
