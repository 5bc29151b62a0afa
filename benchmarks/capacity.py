"""The tables of docs/scaling.md, from the other benchmarks' results: measure those again, then run this again."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import gpu_model
from benchmarks.capacity_model import (
    RECLAIMS_A_SECOND,
    RENEWALS_A_SECOND,
    REPORTS_A_SECOND,
    Assumptions,
    PayloadCost,
    ServerCost,
    devices,
    dollars_of_devices,
    memory_bytes,
    workers_of_a_server,
)
from benchmarks.curves import load_curves, pictures_a_second
from benchmarks.fleet.capacity import seconds_alone
from benchmarks.tables import table

RESULTS = Path(__file__).resolve().parent / "results"
RATES = (10.0, 1_000.0, 100_000.0)
RESULT_TTLS = (60.0, 3600.0)
CLOCKED = ("report", "reclaim", "renew", "register", "observe", "within scripts")
NEVER = 0.0


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One kind of worker: pictures a second with full batches, workers for each of RATES, dollars of 1,000 pictures,
    and how many workers one queue server bears, as it is and if a job woke one worker only.
    """

    name: str
    per_device: float
    devices: list[int]
    dollars: float
    server_workers: int
    server_workers_one_wake: int


@dataclass(frozen=True, slots=True)
class PictureRow:
    """Photographs of one size: bytes, jobs a second of one queue server, gigabytes of results for 10 a second by
    RESULT_TTLS, dollars of 1,000 sent answers and of the cores that decode and encode.
    """

    megapixels: float
    upload_bytes: int
    answer_bytes: int
    server_jobs: float
    gigabytes: list[float]
    dollars_sent: float
    dollars_cores: float


@dataclass(frozen=True)
class CapacityReport:
    """All tables, and what they rest on."""

    assumed: Assumptions
    server: ServerCost
    payload: PayloadCost
    claims_of_a_worker: float
    job_bytes: float
    device_rows: list[DeviceRow]
    picture_rows: list[PictureRow]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the other benchmarks' results"
    )
    parser.add_argument("--curves", type=Path, default=RESULTS / "curves.json", help="step times of workers")
    for name, value in asdict(Assumptions()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value)


def measure(options: argparse.Namespace) -> CapacityReport:
    """Read the results and work the tables out."""
    assumed = Assumptions(**{name: getattr(options, name) for name in asdict(Assumptions())})
    queue, simulation, coding = (
        json.loads((options.results / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("queue_cost", "simulation", "coding")
    )
    server, claims = server_cost(queue), claims_of_a_worker(simulation["rows"])
    profiles = {model.name: model.profile() for model in (*gpu_model.MODELS, gpu_model.FEW_STEP)}
    profiles |= load_curves(options.curves)
    rows = [
        device_row(
            name, pictures_a_second(profile), seconds_alone(profile, profile.steps), server, claims, assumed
        )
        for name, profile in profiles.items()
    ]
    payload = payload_cost(queue["rates"])
    pictures = [picture_row(row, payload, queue["memory_bytes"], assumed) for row in coding["rows"]]
    return CapacityReport(assumed, server, payload, claims, queue["memory_bytes"], rows, pictures)


def server_cost(queue: dict[str, Any]) -> ServerCost:
    """From what queue_cost.py measured: calls that go by the job, and those that go by the clock."""
    spent = {row["name"]: row["microseconds"] for row in queue["scripts"]}
    calls = {row["name"]: row["calls"] for row in queue["scripts"]}
    once = {name: min(calls[name], 1.0) for name in spent if name not in CLOCKED}
    most, fewest = max(queue["publish_microseconds"], key=int), min(queue["publish_microseconds"], key=int)
    wakes = queue["publish_microseconds"][most] - queue["publish_microseconds"][fewest]
    return ServerCost(
        job=sum(spent[name] * count for name, count in once.items()) + spent["observe"],
        look=spent["observe"],
        empty_claim=queue["empty_claim_microseconds"],
        worker_second=REPORTS_A_SECOND * spent["report"]
        + RECLAIMS_A_SECOND * spent["reclaim"]
        + RENEWALS_A_SECOND * (spent["renew"] + spent["register"]),
        wake_of_one=wakes / (int(most) - int(fewest)),
    )


def payload_cost(rates: Sequence[dict[str, Any]]) -> PayloadCost:
    """The line through the smallest and the largest pictures, with appendfsync always; each went in and out."""
    seconds = {row["picture_bytes"]: 1 / row["rate"]["median"] for row in rates if row["fsync"] == "always"}
    smallest, largest = min(seconds), max(seconds)
    byte = (seconds[largest] - seconds[smallest]) / (2 * (largest - smallest))
    return PayloadCost(seconds[smallest] - byte * 2 * smallest, byte)


def claims_of_a_worker(rows: Sequence[dict[str, Any]]) -> float:
    """The part of the workers that claims when a job comes, from the largest simulated fleet at 70 %."""
    plain = [
        row
        for row in rows
        if row["cell"]["kind"] == "plain" and row["cell"]["batching"] == "step" and row["cell"]["load"] == 0.7
    ]
    largest = max(plain, key=lambda row: row["cell"]["workers"])
    return float(largest["claims"]) / int(largest["cell"]["workers"])


def device_row(
    name: str, per_device: float, alone: float, server: ServerCost, claims: float, assumed: Assumptions
) -> DeviceRow:
    """One kind of worker."""
    return DeviceRow(
        name=name,
        per_device=per_device,
        devices=[devices(rate, per_device, assumed) for rate in RATES],
        dollars=dollars_of_devices(per_device, assumed),
        server_workers=workers_of_a_server(per_device, alone, claims, server, assumed),
        server_workers_one_wake=workers_of_a_server(per_device, alone, NEVER, server, assumed),
    )


def picture_row(
    row: dict[str, Any], payload: PayloadCost, job_bytes: float, assumed: Assumptions
) -> PictureRow:
    """Photographs of one size."""
    cores = sum(row[part]["median"] for part in ("check_seconds", "prepare_seconds", "finish_seconds"))
    return PictureRow(
        megapixels=row["megapixels"],
        upload_bytes=row["upload_bytes"],
        answer_bytes=row["answer_bytes"],
        server_jobs=payload.jobs_a_second(row["upload_bytes"] + row["answer_bytes"]),
        gigabytes=[memory_bytes(RATES[0], ttl, row["answer_bytes"], job_bytes) / 1e9 for ttl in RESULT_TTLS],
        dollars_sent=1000 * row["answer_bytes"] / 1e9 * assumed.sent_gigabyte,
        dollars_cores=1000 * cores / 3600 * assumed.core_hour,
    )


def markdown(report: CapacityReport, command: str) -> str:
    """The tables under what they rest on."""
    assumed, server = report.assumed, report.server
    lines = [
        "# Capacity and money, worked out",
        "",
        f"Command: `{command}`, from [curves](curves.md), [simulation](simulation.md), [queue_cost](queue_cost.md) and "
        "[coding](coding.md). Nothing is measured here.",
        "",
        f"Assumed: {assumed.utilisation:.0%} of what full batches could do; {assumed.spare:.0%} spare workers, at "
        f"least one; {assumed.server_share:.0%} of the queue server's thread; ${assumed.gpu_hour:g} a device and "
        f"hour, ${assumed.core_hour:g} a core and hour, ${assumed.sent_gigabyte:g} a gigabyte sent. The prices are "
        "round numbers chosen in November 2026, no offers: give your own as options.",
        "",
        f"Of the queue server's thread: {server.job:.0f} us a job, {server.look:.0f} us each second that its client "
        f"waits, {server.empty_claim:.0f} us a claim in vain, {server.worker_second:.0f} us each second of a worker, "
        f"{server.wake_of_one:.2f} us to tell one worker. {report.claims_of_a_worker:.0%} of the workers claim when "
        "a job comes (simulated, 70 % load).",
        "",
    ]
    titles = (
        *("worker", "pictures/s, full batches", "workers for 10/s", "for 1,000/s", "for 100,000/s"),
        *("$ of devices, of 1,000 pictures", "workers of one queue server", "if a job woke one"),
    )
    lines += table(titles, [_device_cells(row) for row in report.device_rows])
    lines += [
        "Pictures are of one crop and the model's own number of steps. Rows of the built-in models are measured on two "
        "CPU cores; their dollars are at the price of a device all the same.",
        "",
        f"Through the queue's server a job takes {report.payload.fixed * 1000:.1f} ms and "
        f"{report.payload.byte * 1e9:.1f} ms more for each megabyte that comes or goes (appendfsync always): "
        f"{report.payload.threshold:,.0f} bytes take as long as all the rest.",
        "",
        "Photographs by size; jobs/s are those of one queue server, through which they go; memory is that of results "
        "kept for 10 pictures a second:",
        "",
    ]
    kept = [f"GB if kept {ttl:g} s" for ttl in RESULT_TTLS]
    columns = (
        "megapixels",
        "upload, bytes",
        "answer, bytes",
        "jobs/s",
        *kept,
        "$ sent, of 1,000",
        "$ of cores, of 1,000",
    )
    return "\n".join([*lines, *table(columns, [_picture_cells(row) for row in report.picture_rows])])


def _device_cells(row: DeviceRow) -> tuple[str, ...]:
    counts = [f"{count:,}" for count in row.devices]
    bears = (str(row.server_workers), str(row.server_workers_one_wake))
    return (row.name, f"{row.per_device:.2f}", *counts, f"{row.dollars:.2f}", *bears)


def _picture_cells(row: PictureRow) -> tuple[str, ...]:
    sizes = (f"{row.upload_bytes:,}", f"{row.answer_bytes:,}")
    kept = [f"{gigabytes:.2f}" for gigabytes in row.gigabytes]
    return (
        f"{row.megapixels:g}",
        *sizes,
        f"{row.server_jobs:.0f}",
        *kept,
        f"{row.dollars_sent:.3f}",
        f"{row.dollars_cores:.4f}",
    )
