"""Two photos at a time, with progress: python examples/async_progress.py http://localhost:8080 FOLDER."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from moebius_client import AsyncClient, JobEvent

HERE = Path(__file__).resolve().parent


async def fill(client: AsyncClient, seed: int, folder: Path) -> None:
    """One of the two; the seed tells them apart."""

    def progress(event: JobEvent) -> None:
        if event.kind == "queued":
            print(f"seed {seed}: {event.position} before it")
        elif event.steps:
            print(f"seed {seed}: step {event.step} of {event.steps}")
        if event.preview is not None:
            folder.joinpath(f"preview-{seed}.jpg").write_bytes(event.preview.data)

    result = await client.inpaint(
        HERE / "seabed.jpg", HERE / "seabed-mask.png", seed=seed, preview=5, progress=progress
    )
    print(f"wrote {result.save(folder / f'filled-{seed}.jpg')}")


async def main(server: str, folder: str) -> None:
    """To be cancelled here (Ctrl-C) cancels the work there."""
    async with AsyncClient(server) as client, asyncio.TaskGroup() as group:
        for seed in (7, 8):
            group.create_task(fill(client, seed, Path(folder)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
