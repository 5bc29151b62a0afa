"""A job that goes on alone, and one that is cancelled: python examples/jobs.py http://localhost:8080 filled.jpg."""

from __future__ import annotations

import sys
from pathlib import Path

from moebius_client import Client, JobCancelled

HERE = Path(__file__).resolve().parent


def main(server: str, output: str) -> None:
    """A job's id is all that must be kept to come back to it."""
    photo, mask = HERE / "seabed.jpg", HERE / "seabed-mask.png"
    with Client(server) as client:
        kept = client.submit(photo, mask, seed=7, idempotency_key="order-17").id
    with Client(server) as client:  # later, perhaps in another program
        job = client.job(kept)
        print(f"{job.status().status}, {job.id}")
        job.wait(lambda event: print(f"{event.kind} {event.step}/{event.steps}")).save(output)

        unwanted = client.submit(photo, mask, steps=100)
        print(f"then {unwanted.cancel().status}")
        try:
            unwanted.result()
        except JobCancelled as error:
            print(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
