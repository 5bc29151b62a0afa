"""Our engines beside the published operator order, on one model in the same run: the ratios, and the goals for them.

By default the published size with random weights, exported into a folder once; or any model of the store.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.engine_choices import Computing, EngineChoice, add_choice_options, choices, has_gpu
from benchmarks.engine_tasks import Task
from benchmarks.hardware import gpu_name, hardware_line, usable_cores
from benchmarks.measuring import Spread, ratios, seconds_in_turn
from benchmarks.reference_report import PUBLISHED, ContenderRow, ReferenceReport, goals
from benchmarks.reference_report import markdown as markdown
from service.artifacts import model_folder
from service.engine.base import Array, DeviceOutOfMemory
from service.errors import ArtifactError
from service.settings import Settings

if TYPE_CHECKING:
    from benchmarks.reference_contenders import Contender

PACKAGES = ("numpy", "onnxruntime", "torch")
SIZE_NAMES = ("full", "nano", "tiny")
BACKENDS: Mapping[str, Sequence[Computing]] = {
    "cpu": (Computing("onnxruntime"), Computing("torch")),
    "cuda": (
        Computing("onnxruntime", "fp16"),
        Computing("onnxruntime", "fp16", "tensorrt"),
        Computing("torch", "fp16"),
        Computing("torch", "bf16"),
    ),
}
BATCHES: Mapping[str, Sequence[int]] = {"cpu": (1,), "cuda": (1, 2, 4, 8, 16, 32)}
SHORT_CALL = (
    0.2  # seconds for which a call is repeated, so that a GPU's milliseconds are told from the clock's
)
LEVELS = 127.5  # of 255, for each unit of [-1, 1]


@dataclass(frozen=True, slots=True)
class Timed:
    """What is timed in turn: a task of a contender, at a batch size."""

    contender: str
    task: str
    batch: int = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--size", choices=SIZE_NAMES, default="full", help="of the model with random weights")
    parser.add_argument("--model", help="a model of the store instead")
    parser.add_argument(
        "--folder", type=Path, default=Path("out/random"), help="keeps the models of random weights"
    )
    add_choice_options(parser)
    parser.add_argument(
        "--batches", type=int, nargs="+", help="pictures in a step; left out, 1 on a CPU, to 32 on a GPU"
    )
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; one before them warms up")
    parser.add_argument("--steps", type=int, default=20, help="denoising steps of a picture")
    parser.add_argument("--whole", action="store_true", help="run whole pictures on a CPU, too: minutes each")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of each backend on the CPU")


def measure(options: argparse.Namespace) -> ReferenceReport:
    """Compare on every device. `ArtifactError` if the model is missing; an engine that can't be had here is told with
    what stands in its way.
    """
    hardware = hardware_line()
    folder = _model(options)
    rows = [row for device in options.devices for row in measure_device(folder, device, options)]
    gpu = gpu_name()
    return ReferenceReport(
        model=folder.name if options.model else f"random weights, {options.size} size",
        hardware=hardware,
        gpu=gpu,
        threads=options.threads,
        rounds=options.rounds,
        steps=options.steps,
        whole=tuple(device for device in options.devices if _is_run_whole(device, options)),
        packages={name: version(name) for name in PACKAGES},
        goals=goals(rows, gpu),
        rows=rows,
    )


def _model(options: argparse.Namespace) -> Path:
    if options.model:
        return model_folder(Settings().model_store, options.model)
    from benchmarks.random_model import random_model  # it needs torch, which the options are read without

    return random_model(options.size, options.folder)


def _is_run_whole(device: str, options: argparse.Namespace) -> bool:
    return bool(has_gpu() if device == "cuda" else options.whole)


def measure_device(folder: Path, device: str, options: argparse.Namespace) -> list[ContenderRow]:
    """The rows of one device: the published order's, then ours."""
    from benchmarks.reference_contenders import ours, published

    chosen = choices(options.backends, [device], BACKENDS)
    obstacles = {choice: choice.obstacle() for choice in chosen}
    if device == "cuda" and not has_gpu():
        return [ContenderRow(PUBLISHED, device, "no GPU")] + [_absent(choice, "no GPU") for choice in chosen]
    batches = options.batches or BATCHES[device]
    contenders = [published(folder, device, threads=options.threads, steps=options.steps)]
    for choice in chosen:
        try:
            if obstacles[choice] is None:
                engine = ours(
                    choice, folder, max_batch=max(batches), threads=options.threads, steps=options.steps
                )
                contenders.append(engine)
        except ArtifactError as error:
            obstacles[choice] = error.detail
    rows = compare(contenders, device, batches, options)
    return rows + [_absent(choice, told) for choice, told in obstacles.items() if told is not None]


def _absent(choice: EngineChoice, obstacle: str) -> ContenderRow:
    return ContenderRow(choice.computing, choice.device, obstacle)


def compare(
    contenders: Sequence[Contender], device: str, batches: Sequence[int], options: argparse.Namespace
) -> list[ContenderRow]:
    """Time everything in turn: a row for each contender, the first of which is what the others are compared with."""
    pictures = {contender.name: contender.after_a_step() for contender in contenders}
    tasks: dict[Timed, Task] = {}
    for contender in contenders:
        tasks |= _tasks(contender, batches, whole=_is_run_whole(device, options))
    seconds = seconds_in_turn(tasks, options.rounds, at_least=SHORT_CALL)
    first = _times(contenders[0].name, seconds, options.steps)
    rows = []
    for contender in contenders:
        own = _times(contender.name, seconds, options.steps)
        rows.append(
            ContenderRow(
                contender=contender.name,
                device=device,
                step=Spread.of(own.step),
                step_faster=ratios(first.step, own.step),
                encode=Spread.of(own.encode),
                decode=Spread.of(own.decode),
                picture=Spread.of(own.picture),
                picture_faster=ratios(first.picture, own.picture),
                difference=levels_apart(pictures[contenders[0].name], pictures[contender.name]),
                rates=own.rates,
            )
        )
    return rows


def levels_apart(expected: Array, found: Array) -> float:
    """The mean difference of two pictures in [-1, 1], in levels of 255."""
    return float(np.abs(found - expected).mean()) * LEVELS


def _tasks(contender: Contender, batches: Sequence[int], *, whole: bool) -> dict[Timed, Task]:
    name = contender.name
    steps = {Timed(name, "step", batch): contender.guided_step(batch) for batch in sorted({1, *batches})}
    tasks = _those_with_memory(steps)
    tasks |= {Timed(name, "encode"): contender.encoding(), Timed(name, "decode"): contender.decoding()}
    return tasks | ({Timed(name, "picture"): contender.whole_picture()} if whole else {})


def _those_with_memory(steps: Mapping[Timed, Task]) -> dict[Timed, Task]:
    """The steps, by ascending batch size, up to the first that the device has no memory for."""
    import torch

    kept: dict[Timed, Task] = {}
    for timed, task in steps.items():
        try:
            task()
        except (DeviceOutOfMemory, torch.OutOfMemoryError):
            break
        kept[timed] = task
    return kept


@dataclass(frozen=True, slots=True)
class _Times:
    """Seconds of one contender, round by round, of one picture each, and its rates by batch size."""

    step: list[float]
    encode: list[float]
    decode: list[float]
    picture: list[float]
    rates: dict[int, Spread]


def _times(name: str, seconds: Mapping[Timed, list[float]], steps: int) -> _Times:
    encode, decode = seconds[Timed(name, "encode")], seconds[Timed(name, "decode")]
    of_batch = {
        timed.batch: [
            steps * step + timed.batch * (before + after)
            for step, before, after in zip(found, encode, decode, strict=True)
        ]
        for timed, found in seconds.items()
        if (timed.contender, timed.task) == (name, "step")
    }
    return _Times(
        step=seconds[Timed(name, "step")],
        encode=encode,
        decode=decode,
        picture=seconds.get(Timed(name, "picture"), of_batch[1]),
        rates={batch: Spread.of([batch / second for second in found]) for batch, found in of_batch.items()},
    )
