"""Where the milliseconds of a request over HTTP go: to a whole `moebius serve`, one request at a time, by the stages
that the answer tells and the client's own clock.
"""

from __future__ import annotations

import argparse
import cProfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.e2e_report import HOLE, INSIDE, ORDER, E2eReport, E2eRow
from benchmarks.e2e_report import markdown as markdown
from benchmarks.hardware import hardware_line, usable_cores
from benchmarks.measuring import Spread
from benchmarks.photographs import mask_with_holes, photograph
from benchmarks.processes import moebius
from benchmarks.timed_request import TimedRequest, timed_request
from service.contracts import MAX_PIXELS, MEBIBYTE, Params
from service.imaging.decode import decode_picture
from service.imaging.encode import encode_picture
from service.imaging.mask import decode_mask
from service.imaging.retouch import finish, prepare
from service.settings import Settings

FORMATS = ("PNG", "JPEG")
SIDES = (512, 2048, 4096)
SEED = 7
LARGEST_UPLOAD = (
    128 * MEBIBYTE
)  # a photograph of 16 megapixels as PNG is more than the service takes by default
PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Upload:
    """What one request sends."""

    format: str
    side: int
    image: bytes
    mask: bytes


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--model", default=Settings().model)
    parser.add_argument("--backend", default="auto", help="auto, onnxruntime, torch or dummy")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--sides", type=int, nargs="+", default=list(SIDES), help="pixels")
    parser.add_argument("--steps", type=int, help="denoising steps; left out, the model's own number")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds; one before them warms up")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="CPU threads of the engine")


def measure(options: argparse.Namespace) -> E2eReport:
    """Every size and format, in turn, and what can't be told from outside, in turn after it."""
    hardware = hardware_line()
    uploads = [
        Upload(kind, side, photograph(side, kind), mask_with_holes(side, HOLE))
        for side in options.sides
        for kind in options.formats
    ]
    with _service(options) as url, httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        (model,) = client.get("/v1/models").raise_for_status().json()["models"]
        rounds = [_round(client, uploads, number, options) for number in range(options.rounds + 1)][1:]
    apart = [
        [inside_stages(upload, model["image_size"]) for upload in uploads] for _ in range(options.rounds)
    ]
    rows = [
        _row(upload, [requests[index] for requests in rounds], [found[index] for found in apart])
        for index, upload in enumerate(uploads)
    ]
    backend = f"{model['backend']} {model['precision']}, {model['device']}"
    return E2eReport(hardware, options.model, backend, options.rounds, options.steps, rows)


@contextmanager
def _service(options: argparse.Namespace) -> Iterator[str]:
    """The URL of a whole service with one worker."""
    with tempfile.TemporaryDirectory(prefix="moebius-e2e-", ignore_cleanup_errors=True) as folder:
        settings = {
            "model": options.model,
            "backend": options.backend,
            "device": options.device,
            "threads": options.threads,
            "state_dir": Path(folder),
            "port": 0,
            "grpc_port": 0,
            "max_upload_bytes": LARGEST_UPLOAD,
            "sync_timeout": PATIENCE,
        }
        with moebius("serve", settings=settings, capture=True) as process:
            assert process.stdout is not None, "it was asked for"
            words = process.stdout.readline().split()
            yield next(word for word in words if word.startswith("http://"))


def _round(
    client: httpx.Client, uploads: Sequence[Upload], number: int, options: argparse.Namespace
) -> list[TimedRequest]:
    form = {"seed": str(SEED + number)} | ({"steps": str(options.steps)} if options.steps else {})
    return [timed_request(client, upload.image, upload.mask, form) for upload in uploads]


def _inside_all(uploads: Sequence[Upload], model_size: int) -> list[dict[str, float]]:
    return [inside_stages(upload, model_size) for upload in uploads]


def inside_stages(upload: Upload, model_size: int) -> dict[str, float]:
    """Milliseconds of what decoding and encoding a picture contain beside their files, with fills of grey.

    By a profile of one run: of two runs, the difference would be lost in their spread.
    """
    params, profile = Params(seed=SEED), cProfile.Profile()
    with profile:
        retouch = prepare(upload.image, upload.mask, params, model_size=model_size, max_pixels=MAX_PIXELS)
        finish(retouch, np.zeros((len(retouch.crops), 3, model_size, model_size), np.float32), params)
    of_files = _milliseconds(profile, decode_picture) + _milliseconds(profile, decode_mask)
    return {
        "regions": _milliseconds(profile, prepare) - of_files,
        "compose": _milliseconds(profile, finish) - _milliseconds(profile, encode_picture),
    }


def _milliseconds(profile: cProfile.Profile, function: Callable[..., object]) -> float:
    """Of all calls of a function, with what it called."""
    code = function.__code__
    (entry,) = (entry for entry in profile.getstats() if entry.code is code)
    return entry.totaltime * 1e3


def _row(upload: Upload, requests: Sequence[TimedRequest], apart: Sequence[dict[str, float]]) -> E2eRow:
    told = {stage for request in requests for stage in request.stages}
    stages = sorted(told, key=lambda stage: ORDER.index(stage) if stage in ORDER else len(ORDER))
    parts = {"upload": [request.upload for request in requests]}
    parts |= {stage: [request.stages.get(stage, 0.0) for request in requests] for stage in stages}
    parts |= {"download": [request.download for request in requests]}
    parts |= {"other": [request.other for request in requests]}
    return E2eRow(
        format=upload.format,
        side=upload.side,
        upload_bytes=len(upload.image) + len(upload.mask),
        answer_bytes=requests[-1].answer_bytes,
        total=Spread.of([request.total for request in requests]),
        parts={part: Spread.of(values) for part, values in parts.items()},
        inside={part: Spread.of([found[part] for found in apart]) for part in INSIDE if part not in told},
    )
