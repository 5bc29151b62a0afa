"""Formulas of docs/scaling.md: devices for a rate, what one queue server bears, its memory, and money.

Pure functions of measured or assumed numbers; capacity.py puts those in.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

REPORTS_A_SECOND = 10.0  # of a worker that holds jobs (worker/feeder.py)
RECLAIMS_A_SECOND = 1.0  # of a worker (queue/consumer.py)
RENEWALS_A_SECOND = 0.25  # of leases, and of the registration (settings.renew_every)
LOOKS_A_SECOND = 1.0  # of an edge that waits for a job (queue/client.py)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What nobody has measured. Money is in dollars; the prices are round numbers, no offers."""

    utilisation: float = 0.7  # of what full batches could do
    spare: float = 0.1  # workers more than that, for restarts and deaths; at least one
    server_share: float = 0.6  # of the queue server's one thread
    gpu_hour: float = 2.0
    core_hour: float = 0.04
    sent_gigabyte: float = 0.09


@dataclass(frozen=True, slots=True)
class ServerCost:
    """Microseconds of the queue server's thread: of a job without being told of it, of a look at a job, of a claim
    that finds nothing, of a worker's calls by the clock, and of telling one subscriber that a job waits.
    """

    job: float
    look: float
    empty_claim: float
    worker_second: float
    wake_of_one: float


@dataclass(frozen=True, slots=True)
class PayloadCost:
    """Seconds that one queue server takes for a job from submit to finish: `fixed`, and more for each byte of its
    pictures, those that come and those that go.
    """

    fixed: float
    byte: float

    @property
    def threshold(self) -> float:
        """Bytes that take as long as all the rest of a job."""
        return self.fixed / self.byte

    def jobs_a_second(self, payload_bytes: float) -> float:
        """With so many bytes in and out."""
        return 1 / (self.fixed + self.byte * payload_bytes)


def devices(rate: float, per_device: float, assumed: Assumptions) -> int:
    """Workers for `rate` pictures a second, of which each does `per_device` with full batches."""
    needed = ceil(rate / (per_device * assumed.utilisation))
    return needed + max(1, ceil(needed * assumed.spare))


def server_share(
    workers: int, rate: float, seconds_a_job: float, claims_of_a_worker: float, cost: ServerCost
) -> float:
    """The part of one queue server's thread that is busy. A job makes each of the other workers that have places free,
    `claims_of_a_worker` of all, ask for it in vain.
    """
    in_vain = max(0.0, workers * claims_of_a_worker - 1)
    of_a_job = cost.job + seconds_a_job * LOOKS_A_SECOND * cost.look
    of_a_job += in_vain * cost.empty_claim + workers * cost.wake_of_one
    return (rate * of_a_job + workers * cost.worker_second) / 1e6


def workers_of_a_server(
    per_device: float,
    seconds_a_job: float,
    claims_of_a_worker: float,
    cost: ServerCost,
    assumed: Assumptions,
) -> int:
    """The most workers that one queue server bears; 0 where not even one."""
    workers = 0
    while True:
        rate = (workers + 1) * per_device * assumed.utilisation
        if server_share(workers + 1, rate, seconds_a_job, claims_of_a_worker, cost) > assumed.server_share:
            return workers
        workers += 1


def memory_bytes(rate: float, result_ttl: float, result_bytes: float, job_bytes: float) -> float:
    """Of results that are kept, with what is kept of their jobs; uploads go when their job ends."""
    return rate * result_ttl * (result_bytes + job_bytes)


def dollars_of_devices(per_device: float, assumed: Assumptions) -> float:
    """Of 1,000 pictures, spare devices included."""
    pictures_an_hour = per_device * assumed.utilisation * 3600
    return 1000 * (1 + assumed.spare) * assumed.gpu_hour / pictures_an_hour
