"""Brings the stack up and holds it to its promises, one sentence each: `python -m scripts.compose.check`.

scripts/check-compose has built the images before, with the tag that MOEBIUS_VERSION names. Exit status 1 where a
promise is not kept; nothing of the stack is left either way.
"""

from __future__ import annotations

import os
import sys
import time

from PIL import Image

from scripts.compose.client import MASK, PHOTO, Client
from scripts.compose.picture import require_filled
from scripts.compose.stack import SERVICES, Stack, stack_of
from scripts.compose.waiting import CheckError, await_that, require

FEW_STEPS = "6"  # of denoising: enough for a hole that is filled
MORE_STEPS = "20"  # enough to be caught at work
WAITING_JOBS = 4
STARTED = time.monotonic()


def tell(sentence: str) -> None:
    """One line of what was seen, and when."""
    print(f"{time.monotonic() - STARTED:6.1f} s  {sentence}", flush=True)


def check_pictures(client: Client) -> None:
    """The demo's hole is filled, whichever way it is asked for."""
    change = _change(client.inpaint(steps=FEW_STEPS))
    tell(
        f"HTTP: the hole is filled (it changed by {change:.0f} of 255 levels), every pixel outside is the photo's."
    )
    change = _change(client.inpaint_over_grpc(), exact=False)
    tell(
        f"gRPC: the hole is filled (it changed by {change:.0f} of 255 levels), the rest differs as JPEGs do."
    )


def check_killed_worker(stack: Stack, client: Client) -> None:
    """A job whose worker is killed is done by the next one."""
    job_id = client.submit(steps=MORE_STEPS)
    job = client.await_step(job_id, 2)
    killed = stack.kill("worker")
    tell(f"The worker was killed when its job had done {job['step']} of {job['steps']} steps.")
    job = client.await_success(job_id)
    _change(client.result(job_id))
    require(job["attempt"] == 2, f"The job took {job['attempt']} attempts instead of 2.")
    stack.await_return("worker", killed)
    tell("The worker was started again, and the job is finished, by attempt 2.")


def check_killed_redis(stack: Stack, client: Client) -> None:
    """What the queue had accepted is there after its server was killed."""
    jobs = [client.submit(steps=FEW_STEPS) for _ in range(WAITING_JOBS)]
    client.await_step(jobs[0], 1)
    waiting = sum(client.job(job)["status"] == "queued" for job in jobs)
    require(waiting > 0, "No job was waiting when Redis was to be killed.")
    killed = stack.kill("redis")
    tell(f"Redis was killed while {waiting} of {len(jobs)} jobs waited.")
    stack.await_return("redis", killed)
    for job in jobs:
        _await_picture(stack, client, job)
    tell(f"Redis was started again, and all {len(jobs)} jobs are finished: nothing was lost.")


def check_killed_edge(stack: Stack, client: Client) -> None:
    """A job outlives the edge that took it."""
    job_id = client.submit(steps=FEW_STEPS)
    killed = stack.kill("edge")
    stack.await_return("edge", killed)
    _await_picture(stack, client, job_id)
    tell("The edge was killed and started again; the job that it had taken is finished.")


def check_killed_prometheus(stack: Stack, client: Client) -> None:
    """Prometheus comes back with what it had stored."""
    _await_targets(client, workers=1)
    before = int(time.time())
    stack.await_return("prometheus", stack.kill("prometheus"))
    # Older than the process that answers.
    stored = client.query(f"count(last_over_time(up[10m] @ {before}))")
    require(stored is not None, "Prometheus has lost its samples.")
    tell("Prometheus was killed and started again, and still has its samples.")


def check_orderly_stop(stack: Stack, client: Client) -> str:
    """A stop lets running work end, within the time it has; the job, to be looked for after the next start."""
    job_id = client.submit(steps=FEW_STEPS)
    client.await_step(job_id, 1)
    began = time.monotonic()
    stack.stop()
    took = time.monotonic() - began
    ended = {each.name: each.exit_code for each in stack.containers()}
    require(set(ended.values()) == {0}, f"Not every container ended with 0: {ended}")
    tell(
        f"A job ran when everything was told to stop; {took:.0f} s later all had ended in good order, with 0."
    )
    return job_id


def check_second_start(stack: Stack, client: Client, job_id: str) -> None:
    """The next start has the job, and two workers, both known to Prometheus."""
    stack.up(workers=2)
    job = client.await_success(job_id)
    _change(client.result(job_id))
    require(job["attempt"] == 1, f"The job took {job['attempt']} attempts: the stop has cost one.")
    tell("Started again with two workers, the stack has the job's picture, and the stop cost it no attempt.")
    _await_targets(client, workers=2)
    tell("Prometheus scrapes the edge and both workers.")


def check_metrics(client: Client) -> None:
    """Prometheus counts the jobs of these workers, and can evaluate every rule."""
    succeeded = 'sum(inpaint_jobs_total{outcome="succeeded"})'
    before = client.query(succeeded) or 0
    client.inpaint(steps=FEW_STEPS)
    await_that("Prometheus counted a picture", lambda: (client.query(succeeded) or 0) > before)
    broken = client.unhealthy_rules()
    require(not broken, f"Prometheus can't evaluate the rules {broken}.")
    tell("Prometheus has counted the last picture, and evaluates every rule.")


def _await_picture(stack: Stack, client: Client, job_id: str) -> None:
    """Wait for the edge to find the queue again, and for the job's picture."""
    await_that("the edge was ready again", lambda: stack.container("edge").health == "healthy")
    client.await_success(job_id)
    _change(client.result(job_id))


def _await_targets(client: Client, *, workers: int) -> None:
    def all_found() -> bool:
        return client.targets_up("edge") == 1 and client.targets_up("worker") == workers

    await_that(f"Prometheus scraped the edge and {workers} workers", all_found)


def _change(filled: Image.Image, *, exact: bool = True) -> float:
    with Image.open(PHOTO) as photo, Image.open(MASK) as mask:
        return require_filled(filled, photo, mask, exact=exact)


def check(stack: Stack) -> None:
    """Everything, in order."""
    stack.up()
    tell(f"{', '.join(SERVICES)} are up and healthy.")
    client = Client(stack)
    check_pictures(client)
    check_killed_worker(stack, client)
    check_killed_redis(stack, client)
    check_killed_edge(stack, client)
    check_killed_prometheus(stack, client)
    job_id = check_orderly_stop(stack, client)
    check_second_start(stack, client, job_id)
    check_metrics(client)


def main() -> None:
    """Run the check; the exit status tells how it went."""
    try:
        with stack_of(os.environ["MOEBIUS_VERSION"]) as stack:
            check(stack)
        left = stack.left_behind()
        require(not left, f"After the end there are still {left}.")
    except CheckError as failure:
        tell(f"FAILED: {failure}")
        sys.exit(1)
    tell("All of it is taken down again, volumes too.")


if __name__ == "__main__":
    main()
