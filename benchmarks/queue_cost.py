"""What a job costs the queue's server: scripts, microseconds of its one thread, bytes; and how many jobs it bears."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import ExitStack
from dataclasses import dataclass

import redis

from benchmarks.arrivals import poisson_arrivals
from benchmarks.fleet.run import Plant, simulate
from benchmarks.fleet.timing import Timing
from benchmarks.fleet.workload import Request
from benchmarks.hardware import hardware_line
from benchmarks.load import CLIENT, DEADLINE, Payload, serve_all
from benchmarks.measuring import Spread
from benchmarks.pictures import gradient_and_hole
from benchmarks.processes import workers
from benchmarks.queue_rate import jobs_per_second
from benchmarks.queue_servers import Fsync, queue_server
from benchmarks.server_log import ServerLog, server_log
from benchmarks.tables import heading, table
from service.contracts import Job, Params, Priority, ServedModel, WorkerRegistration
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.queue.keys import Shard
from service.settings import Settings
from service.worker.profile import BatchProfile
from service.worker.scheduler import Limits

WORKERS = 2
STEP_SECONDS = 0.05
STEPS = (20,)
RATE = 8.0  # pictures a second
MAX_BATCH = 8
WORKER_COUNTS = (1, 2, 4, 8)
SUBSCRIBERS = (1, 10, 100, 1000)
EMPTY_CLAIMS = 500
PUBLISHES = 200
WAITING_JOBS = 500
PICTURE_BYTES = (1_000, 30_000, 300_000, 3_000_000)
MOST_BYTES_IN_A_RUN = 400_000_000
FSYNCS: tuple[Fsync, ...] = ("always", "everysec")


@dataclass(frozen=True, slots=True)
class ScriptRow:
    """One script, or a command that a client sends itself: calls a job, and microseconds of the server a call."""

    name: str
    calls: float
    microseconds: float


@dataclass(frozen=True, slots=True)
class BytesRow:
    """Jobs a second through the queue alone, each with a picture and a result of so many bytes."""

    picture_bytes: int
    fsync: Fsync
    rate: Spread


@dataclass(frozen=True, slots=True)
class ClaimsRow:
    """Claims a job of so many workers: those of the real ones, and of simulated ones on the same arrivals."""

    workers: int
    real: float
    simulated: float


@dataclass(frozen=True)
class QueueCostReport:
    """All that was measured, and on what. Microseconds are of the server's one thread; bytes are of a job."""

    hardware: str
    rounds: int
    jobs: int
    seconds_a_job: float
    scripts: list[ScriptRow]
    commands: float
    microseconds: float
    payload_bytes: float
    received_bytes: float
    sent_bytes: float
    file_bytes: float
    memory_bytes: float
    empty_claim_microseconds: float
    publish_microseconds: dict[int, float]
    claims: list[ClaimsRow]
    rates: list[BytesRow]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--seconds", type=float, default=20.0, help="of jobs whose commands are counted")
    parser.add_argument("--jobs", type=int, default=2000, help="through the queue alone, fewer if large")
    parser.add_argument("--rounds", type=int, default=3, help="of the queue alone")


def measure(options: argparse.Namespace) -> QueueCostReport:
    """All of it, one after the other."""
    hardware = hardware_line()
    image, mask = gradient_and_hole(128)
    log, jobs = logged_jobs(WORKERS, options.seconds, Payload(image, mask))
    rates: dict[tuple[int, Fsync], list[float]] = {}
    for number in range(options.rounds):
        cells = [(size, fsync) for size in PICTURE_BYTES for fsync in FSYNCS]
        for size, fsync in cells if number % 2 else reversed(cells):
            count = max(50, min(options.jobs, MOST_BYTES_IN_A_RUN // (2 * size)))
            with queue_server(fsync=fsync) as url:
                rates.setdefault((size, fsync), []).append(jobs_per_second(url, count, size))
    return QueueCostReport(
        hardware=hardware,
        rounds=options.rounds,
        jobs=jobs,
        seconds_a_job=STEPS[0] * STEP_SECONDS,
        scripts=[
            ScriptRow(name, calls / jobs, log.microseconds[name] / calls)
            for name, calls in log.calls.most_common()
        ],
        commands=log.commands / jobs,
        microseconds=log.busy_microseconds() / jobs,
        payload_bytes=len(image) + len(mask),
        received_bytes=log.received_bytes / jobs,
        sent_bytes=log.sent_bytes / jobs,
        file_bytes=log.file_bytes / jobs,
        memory_bytes=memory_of_a_waiting_job(),
        empty_claim_microseconds=empty_claim_microseconds(),
        publish_microseconds={count: publish_microseconds(count) for count in SUBSCRIBERS},
        claims=[claims_of(count, options.seconds, Payload(image, mask)) for count in WORKER_COUNTS],
        rates=[BytesRow(size, fsync, Spread.of(found)) for (size, fsync), found in sorted(rates.items())],
    )


def logged_jobs(count: int, seconds: float, payload: Payload) -> tuple[ServerLog, int]:
    """Serve Poisson arrivals on `count` real workers; answers what the server was asked, and the number of jobs."""
    own = {"backend": "dummy", "dummy_step_seconds": STEP_SECONDS, "max_batch": MAX_BATCH}
    arrivals = poisson_arrivals(RATE, seconds, steps=STEPS, seed=1)
    with (
        queue_server() as url,
        workers(url, count, own),
        redis.Redis.from_url(url) as connection,
        server_log(connection) as log,
    ):
        asyncio.run(serve_all(url, Settings(max_client_share=1), payload, arrivals))
    return log, len(arrivals)


def claims_of(count: int, seconds: float, payload: Payload) -> ClaimsRow:
    """The same arrivals on real and on simulated workers."""
    log, jobs = logged_jobs(count, seconds, payload)
    requests = [
        Request(one.seed, one.at, 1, one.steps, Priority.INTERACTIVE, CLIENT)
        for one in poisson_arrivals(RATE, seconds, steps=STEPS, seed=1)
    ]
    profile = BatchProfile(dict.fromkeys((1, MAX_BATCH), STEP_SECONDS), 0.0, 0.0)
    counts = simulate(Plant(count, profile, Limits(MAX_BATCH), Timing()), requests, seed=0).counts
    return ClaimsRow(count, log.calls["claim"] / jobs, counts.claims / counts.submitted)


def memory_of_a_waiting_job() -> float:
    """Bytes of the server's memory beside the payload."""
    settings = Settings(max_queued_jobs=2 * WAITING_JOBS, max_client_share=1)

    async def submit(url: str) -> None:
        queue = QueueClient(url, settings)
        deadline = await queue.now() + DEADLINE
        params = Params(model=settings.model, seed=1, steps=20, guidance_scale=2.0)
        for _ in range(WAITING_JOBS):
            await queue.submit(Job(queue.new_job_id(CLIENT), CLIENT, params, b"image", b"mask", deadline))
        await queue.aclose()

    with queue_server() as url, redis.Redis.from_url(url) as connection:
        before: int = connection.info("memory")["used_memory_dataset"]
        asyncio.run(submit(url))
        after: int = connection.info("memory")["used_memory_dataset"]
    return (after - before) / WAITING_JOBS


def empty_claim_microseconds() -> float:
    """Of the server, for a claim that finds no job: what a worker's wake costs where another one was faster."""
    settings = Settings()
    model = ServedModel(settings.model, 256, "dummy", "cpu", "fp32", "")
    with queue_server() as url, redis.Redis.from_url(url) as connection:
        consumer = QueueConsumer(url, settings, WorkerRegistration("claimer", (model,), places=1))
        with server_log(connection) as log:
            for _ in range(EMPTY_CLAIMS):
                consumer.claim([settings.model], places=1, idle=True)
        consumer.close()
    return log.microseconds["claim"] / log.calls["claim"]


def publish_microseconds(subscribers: int) -> float:
    """Of the server, to tell so many subscribed workers that a job waits."""
    channel = Shard().wake("model")
    with queue_server() as url, ExitStack() as stack:
        connection = stack.enter_context(redis.Redis.from_url(url))
        pool = redis.ConnectionPool.from_url(url, max_connections=subscribers)
        for _ in range(subscribers):
            subscription = redis.client.PubSub(pool)
            stack.callback(subscription.close)
            subscription.subscribe(channel)
            subscription.get_message(timeout=5.0)
        connection.config_resetstat()
        for _ in range(PUBLISHES):
            connection.publish(channel, "s0-0123456789abcdef0123456789abcdef")
        told = connection.info("commandstats")["cmdstat_publish"]
        return float(told["usec_per_call"])


def markdown(report: QueueCostReport, command: str) -> str:
    """The report as tables."""
    lines = heading("What a job costs the queue's server", report.hardware, command)
    lines += [
        f"{report.jobs} jobs of {report.seconds_a_job:g} s, Poisson at {RATE:g}/s, on {WORKERS} workers with simulated "
        "devices; Valkey's own slow log with nothing left out. Microseconds are of the server's one thread, without "
        "its reads and writes of sockets and disk. Renew, register and reclaim go by the clock, report each 0.1 s of "
        "a worker that holds jobs; the rest by the job.",
        "",
        *table(
            ("script or command", "calls a job", "us a call", "us a job"),
            [
                (
                    row.name,
                    f"{row.calls:.2f}",
                    f"{row.microseconds:.0f}",
                    f"{row.calls * row.microseconds:.0f}",
                )
                for row in report.scripts
            ],
        ),
        f"A job: {report.commands:.0f} commands in all, {report.microseconds:.0f} us of the server. Its pictures have "
        f"{report.payload_bytes:.0f} bytes; the server receives {report.received_bytes:.0f}, sends "
        f"{report.sent_bytes:.0f}, and writes {report.file_bytes:.0f} to its file. A waiting job takes "
        f"{report.memory_bytes:.0f} bytes of memory beside its pictures.",
        "",
        f"A claim that finds nothing takes {report.empty_claim_microseconds:.0f} us. To tell subscribed workers that "
        "a job waits: "
        + ", ".join(f"{spent:.0f} us for {count}" for count, spent in report.publish_microseconds.items())
        + ".",
        "",
        "Claims a job, as each job wakes all workers that have places free (real ones ask once a second, too):",
        "",
        *table(
            ("workers", "real", "simulated"),
            [(str(row.workers), f"{row.real:.2f}", f"{row.simulated:.2f}") for row in report.claims],
        ),
        f"The queue alone, submit to finish, 8 claiming processes; {report.rounds} rounds in turn: "
        "median (least - most). Bytes are of the picture, and again of the result:",
        "",
    ]
    rows = [
        (
            f"{row.picture_bytes:,}",
            row.fsync,
            row.rate.text(0),
            f"{row.rate.median * row.picture_bytes * 2 / 1e6:.0f}",
        )
        for row in report.rates
    ]
    return "\n".join([*lines, *table(("bytes", "appendfsync", "jobs/s", "pictures and results, MB/s"), rows)])
