"""Compares the engines on one model: a guided step by batch size and what it reaches of the device, memory, and start.

Every engine runs the same seeds on the same crop, in turn, in one process. Queue and picture code are left out.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cold_start import measured_start
from benchmarks.engine_choices import EngineChoice, add_choice_options, choices
from benchmarks.engine_report import EngineReport, EngineRow, Starts, StepRow
from benchmarks.engine_report import markdown as markdown
from benchmarks.engine_tasks import Task, decoding, encoding, guided_step, whole_picture
from benchmarks.hardware import gpu_name, hardware_line, usable_cores
from benchmarks.measuring import Spread, ratios, seconds_in_turn
from service.artifacts import load_manifest, model_folder
from service.engine.base import Engine
from service.errors import ArtifactError
from service.settings import Settings

if TYPE_CHECKING:
    from benchmarks.published_work import Work

PACKAGES = ("numpy", "onnxruntime", "torch")
BATCHES = (1, 2, 4, 8, 16, 32)
SHORT_CALL = (
    0.2  # seconds for which a call is repeated, so that a GPU's milliseconds are told from the clock's
)


@dataclass(frozen=True, slots=True)
class Timed:
    """What is timed in turn: a task, at a batch size, of an engine; or a ceiling of a device and precision."""

    of: str
    task: str
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Contender:
    """An engine that runs, how processes of its own started, and where and in what it computes."""

    choice: EngineChoice
    engine: Engine
    starts: Starts

    @property
    def batches(self) -> Sequence[int]:
        """Batch sizes that there was memory for."""
        return sorted(self.starts.last.step_memory)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--model", default=Settings().model)
    add_choice_options(parser)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="crops in a step")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds; one before them warms up")
    parser.add_argument("--starts", type=int, default=3, help="of each engine, after one with nothing cached")
    parser.add_argument("--steps", type=int, default=20, help="denoising steps of a picture")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of each backend on the CPU")


def measure(options: argparse.Namespace) -> EngineReport:
    """Start every engine by itself, then time all in turn. `ArtifactError` if the model is missing; an engine that
    can't be had here is told with what stands in its way.
    """
    from benchmarks.published_work import (
        guided_step_work,
    )  # it needs torch, which the options are read without
    from service.model.config import UNetConfig

    hardware = hardware_line()
    manifest = load_manifest(model_folder(Settings().model_store, options.model))
    config = UNetConfig.from_dict(manifest.config["unet"])
    work = {batch: guided_step_work(config, batch) for batch in sorted({1, *options.batches})}
    contenders, rows = _started(options)
    rows |= compare(contenders, work, rounds=options.rounds, steps=options.steps)
    for contender in contenders:
        contender.engine.close()
    return EngineReport(
        model=options.model,
        hardware=hardware,
        gpu=gpu_name(),
        threads=options.threads,
        rounds=options.rounds,
        steps=options.steps,
        packages={name: version(name) for name in PACKAGES},
        work_flops=work[1].flops,
        work_bytes=work[1].bytes,
        rows=list(rows.values()),
    )


def _started(options: argparse.Namespace) -> tuple[list[Contender], dict[str, EngineRow]]:
    """The engines that run here, and a row for each of all, in order, in which what stood in its way is told.

    All start by themselves before the first is opened here, so that they have the machine's memory.
    """
    starts: dict[EngineChoice, Starts] = {}
    rows: dict[str, EngineRow] = {}
    for choice in choices(options.backends, options.devices):
        obstacle = choice.obstacle()
        try:
            if obstacle is None:
                starts[choice] = _starts(choice, options)
        except ArtifactError as error:
            obstacle = error.detail
        rows[choice.name] = EngineRow(choice.name, obstacle)
    most = max(options.batches)
    return [
        Contender(choice, choice.open(options.model, threads=options.threads, max_batch=most), found)
        for choice, found in starts.items()
    ], rows


def _starts(choice: EngineChoice, options: argparse.Namespace) -> Starts:
    """One start with an empty cache, then some with what it has left there; memory by batch size in the last."""
    store = Settings().model_store
    with tempfile.TemporaryDirectory(prefix="moebius-engine-") as folder:
        first, *others = (
            measured_start(
                choice, options.model, store, threads=options.threads, batches=batches, cache=Path(folder)
            )
            for batches in ([[1]] * options.starts + [options.batches])
        )
    return Starts(first.cold, Spread.of([start.cold for start in others]), others[-1])


def compare(
    contenders: Sequence[Contender], work: Mapping[int, Work], *, rounds: int, steps: int
) -> dict[str, EngineRow]:
    """Time everything in turn: a row for each engine, by its name."""
    tasks: dict[Timed, Task] = {}
    for contender in contenders:
        tasks |= _ceilings(contender.choice) | _tasks(contender, steps)
    seconds = seconds_in_turn(tasks, rounds, at_least=SHORT_CALL)
    firsts: dict[str, str] = {}  # the first engine of each device
    rows = {}
    for contender in contenders:
        name = contender.choice.name
        first = firsts.setdefault(contender.choice.device, name)
        rows[name] = _row(contender, seconds, work, first, steps)
    return rows


def _tasks(contender: Contender, steps: int) -> dict[Timed, Task]:
    name, engine = contender.choice.name, contender.engine
    return {
        Timed(name, "encode"): encoding(engine),
        Timed(name, "decode"): decoding(engine),
        Timed(name, "picture"): whole_picture(engine, steps),
        **{Timed(name, "step", batch): guided_step(engine, batch) for batch in contender.batches},
    }


def _ceilings(choice: EngineChoice) -> dict[Timed, Task]:
    from benchmarks.roofline import Copy, MatrixProduct

    product, copy = MatrixProduct(choice.device, choice.precision), Copy(choice.device)
    return {_product(choice): product.task(), Timed(choice.device, "copy"): copy.task()}


def _product(choice: EngineChoice) -> Timed:
    return Timed(f"{choice.device} {choice.precision}", "product")


def _row(
    contender: Contender,
    seconds: Mapping[Timed, list[float]],
    work: Mapping[int, Work],
    first: str,
    steps: int,
) -> EngineRow:
    from benchmarks.roofline import Copy, MatrixProduct

    choice, name = contender.choice, contender.choice.name
    flops = MatrixProduct(choice.device, choice.precision).flops
    product = [flops / second for second in seconds[_product(choice)]]
    copy = [Copy(choice.device).bytes / second for second in seconds[Timed(choice.device, "copy")]]
    encode, decode = seconds[Timed(name, "encode")], seconds[Timed(name, "decode")]

    def step_row(batch: int) -> StepRow:
        step = seconds[Timed(name, "step", batch)]
        done = work[batch]
        rates, traffic = [done.flops / one for one in step], [done.bytes / one for one in step]
        return StepRow(
            batch=batch,
            seconds=Spread.of(step),
            slower=ratios(step, seconds.get(Timed(first, "step", batch), step)),
            pictures=Spread.of(pictures_a_second(batch, step, encode, decode, steps)),
            flops=Spread.of(rates),
            of_product=ratios(rates, product),
            bytes=Spread.of(traffic),
            of_copy=ratios(traffic, copy),
            memory=contender.starts.last.step_memory.get(batch),
        )

    return EngineRow(
        engine=name,
        obstacle=None,
        starts=contender.starts,
        encode=Spread.of(encode),
        decode=Spread.of(decode),
        picture=Spread.of(seconds[Timed(name, "picture")]),
        product=Spread.of(product),
        copy=Spread.of(copy),
        steps=tuple(step_row(batch) for batch in contender.batches),
    )


def pictures_a_second(
    batch: int, step: Sequence[float], encode: Sequence[float], decode: Sequence[float], steps: int
) -> list[float]:
    """Of one crop each, round by round: full batches, encoding and decoding one after the other on the device."""
    return [
        batch / (steps * of_step + batch * (of_encode + of_decode))
        for of_step, of_encode, of_decode in zip(step, encode, decode, strict=True)
    ]
