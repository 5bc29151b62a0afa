"""What the previews of one job cost the others: the steps of a neighbour in the same batch, with and without them, and
the bytes of a preview.

A worker of our own in this process, so that each step is seen; its queue and all else are the service's.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.hardware import hardware_line
from benchmarks.load import CLIENT, DEADLINE
from benchmarks.measuring import Spread, ratios, spread_of
from benchmarks.overlap_run import Device, real_device, worker_thread
from benchmarks.pictures import gradient_and_hole
from benchmarks.queue_servers import queue_server
from benchmarks.tables import heading, table
from service.contracts import DEFAULT_GUIDANCE_SCALE, Job, Params
from service.queue.client import QueueClient
from service.settings import Settings

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
WATCHED = ("seabed.jpg", "seabed-mask.png")  # 512 x 512
WATCHED_CROPS = 3
PLACES = WATCHED_CROPS + 1
NEIGHBOUR_SIDE = 128
WITHOUT, WITH_ALL = 0, 1  # of the parameter `preview`
WARM_UP_STEPS = 2  # that the neighbour may be alone in, or that one of both joins in


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds from each of the neighbour's steps to its next one, and of the watched job; bytes of each preview."""

    gaps: list[float]
    watched: float
    previews: list[int]


@dataclass(frozen=True, slots=True)
class Row:
    """All rounds of one setting; seconds, and ratios to no previews, round by round."""

    preview: int
    gap_p50: Spread
    gap_most: Spread
    watched: Spread
    gap_ratio: Spread
    watched_ratio: Spread


@dataclass(frozen=True)
class PreviewsReport:
    """All that was measured, and on what. `previews` came for a job, of `preview_bytes` each."""

    hardware: str
    device: str
    rounds: int
    steps: int
    previews: Spread
    preview_bytes: Spread
    rows: list[Row]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--rounds", type=int, default=7, help="with and without previews in turn in each")
    parser.add_argument("--steps", type=int, default=20, help="of both jobs")
    parser.add_argument("--model", default="moebius-nano", help="a model of the store that takes any steps")
    parser.add_argument("--backend", default="auto", help="what runs it: auto, onnxruntime or torch")
    parser.add_argument("--device", default="auto", help="where it runs: auto, cpu, cuda or cuda:N")


def measure(options: argparse.Namespace) -> PreviewsReport:
    """Both settings in every round, in turns; one more round before them warms up and is not counted."""
    hardware = hardware_line()
    device = _with_places(real_device(options.model, options.backend, options.device))
    runs: dict[int, list[Run]] = {WITHOUT: [], WITH_ALL: []}
    for number in range(options.rounds + 1):
        for preview in (WITHOUT, WITH_ALL) if number % 2 else (WITH_ALL, WITHOUT):
            one = run(device, preview, options.steps)
            if number > 0:
                runs[preview].append(one)
    sizes = [size for one in runs[WITH_ALL] for size in one.previews]
    return PreviewsReport(
        hardware=hardware,
        device=device.text,
        rounds=options.rounds,
        steps=options.steps,
        previews=spread_of(runs[WITH_ALL], lambda one: len(one.previews)),
        preview_bytes=Spread.of([float(size) for size in sizes]),
        rows=[_row(preview, some, runs[WITHOUT]) for preview, some in runs.items()],
    )


def _with_places(device: Device) -> Device:
    """The device with a place for every crop of both jobs: on its own it might take them one after the other."""
    return replace(device, profile=replace(device.profile, chosen=PLACES, sizes=(PLACES,)))


def _row(preview: int, mine: Sequence[Run], without: Sequence[Run]) -> Row:
    return Row(
        preview=preview,
        gap_p50=spread_of(mine, lambda one: median(one.gaps)),
        gap_most=spread_of(mine, lambda one: max(one.gaps)),
        watched=spread_of(mine, lambda one: one.watched),
        gap_ratio=ratios(*([median(one.gaps) for one in some] for some in (mine, without))),
        watched_ratio=ratios(*([one.watched for one in some] for some in (mine, without))),
    )


def run(device: Device, preview: int, steps: int) -> Run:
    """A neighbour and a watched job at the same time, on a worker and a queue of their own."""
    settings = device.settings.model_copy(update={"max_client_share": 1.0})
    with queue_server() as url, worker_thread(url, settings, device) as steps_at:
        watched, previews = asyncio.run(_both(url, settings, preview, steps))
    times = steps_at[WARM_UP_STEPS:steps]
    return Run([after - before for before, after in pairwise(times)], watched, previews)


async def _both(url: str, settings: Settings, preview: int, steps: int) -> tuple[float, list[int]]:
    """Seconds of the watched job, and the bytes of its previews, in the neighbour's company."""
    queue = QueueClient(url, settings)
    image, mask = ((EXAMPLES / name).read_bytes() for name in WATCHED)
    plain = Params(model=settings.model, seed=7, steps=steps, guidance_scale=DEFAULT_GUIDANCE_SCALE)
    try:
        deadline = await queue.now() + DEADLINE
        neighbour = Job(queue.new_job_id(CLIENT), CLIENT, plain, *gradient_and_hole(NEIGHBOUR_SIDE), deadline)
        params = plain.model_copy(update={"preview": preview})
        watched = Job(queue.new_job_id(CLIENT), CLIENT, params, image, mask, deadline, places=WATCHED_CROPS)
        async with asyncio.TaskGroup() as group:
            group.create_task(_follow(queue, neighbour))
            seen = group.create_task(_follow(queue, watched))
        return seen.result()
    finally:
        await queue.aclose()


async def _follow(queue: QueueClient, job: Job) -> tuple[float, list[int]]:
    """Submit a job and read its events to the end: seconds, and the bytes of each preview."""
    started = perf_counter()
    await queue.submit(job)
    async with aclosing(queue.events(job.id, CLIENT)) as events:
        sizes = [len(event.preview.data) async for event in events if event.preview is not None]
    await queue.wait(job.id, CLIENT)
    return perf_counter() - started, sizes


def markdown(report: PreviewsReport, command: str) -> str:
    """The report as a table."""
    lines = heading("What previews cost", report.hardware, command)
    lines += [
        f"{report.device}. {report.rounds} rounds, both settings in turn: median (least - most). A job of a 512 x 512 "
        f"photo (three crops) and a neighbour of one crop run in the same batch, {report.steps} steps each; gap: from "
        "one of the neighbour's steps to its next. Ratios are to no previews, round by round.",
        "",
        f"A preview is {report.preview_bytes.times(1 / 1000).text(1)} kB; {report.previews.text(0)} came for a job.",
        "",
    ]
    lines += table(
        (
            "preview",
            *("gap p50 ms", "longest gap ms", "watched job s"),
            *("gap p50, ratio", "watched job, ratio"),
        ),
        [_cells(row) for row in report.rows],
    )
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    compared = (row.gap_ratio, row.watched_ratio)
    return (
        "none" if row.preview == WITHOUT else "every step",
        *(spread.times(1000).text(1) for spread in (row.gap_p50, row.gap_most)),
        row.watched.text(2),
        *("1" if row.preview == WITHOUT else spread.text(3) for spread in compared),
    )
