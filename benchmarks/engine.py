"""Compares the backends on one model: milliseconds of a guided step, and pictures a second of the whole loop.

Every backend runs the same seeds on the same crop, in turn, in one process. Queue and picture code are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np

from benchmarks.hardware import hardware_line, usable_cores
from benchmarks.measuring import Spread, ratios, seconds_in_turn
from service.contracts import Params
from service.engine.base import Array, Engine, Tile
from service.engine.inpaint import run
from service.engine.sampler import ddim_table, ddim_timesteps, initial_noise
from service.engine.selection import open_engine
from service.settings import Settings

BACKENDS: tuple[Literal["onnxruntime", "torch"], ...] = ("onnxruntime", "torch")
PACKAGES = ("numpy", "onnxruntime", "torch")
GUIDANCE = 2.0


@dataclass(frozen=True)
class Row:
    """One task of one backend. `slower` compares with the first backend, round by round."""

    backend: str
    task: str
    unit: str
    value: Spread
    slower: Spread


@dataclass(frozen=True)
class EngineReport:
    """All that was measured, and on what."""

    model: str
    hardware: str
    threads: int
    rounds: int
    steps: int
    packages: dict[str, str]
    rows: list[Row]


def crop(side: int) -> tuple[Array, Array]:
    """A picture of noise [3, s, s] and a square hole [s, s] in its middle: what is shown does not change the time."""
    image = np.random.default_rng(0).uniform(-1, 1, (3, side, side)).astype(np.float32)
    mask = np.zeros((side, side), np.float32)
    mask[side // 4 : -side // 4, side // 4 : -side // 4] = 1
    return image, mask


def guided_step(engine: Engine) -> Callable[[], object]:
    """One denoising step of one crop: two network calls in one batch, and the update."""
    encoded = engine.encode([Tile(*crop(engine.info.image_size))], with_image=False)[0]
    state = engine.begin(encoded, initial_noise(0, 0, engine.latent_shape), 0.0, 1.0)
    row = ddim_table(ddim_timesteps(2), 1.0, GUIDANCE, prediction_type="epsilon").rows[0]
    return lambda: engine.step([state], [row])


def whole_picture(engine: Engine, steps: int) -> Callable[[], object]:
    """Encode, all steps and decode of one crop."""
    tile = crop(engine.info.image_size)
    params = Params(seed=0, steps=steps, guidance_scale=GUIDANCE)
    return lambda: run(engine, [tile], params)


def compare(engines: Mapping[str, Engine], *, rounds: int, steps: int) -> list[Row]:
    """Measure both tasks on every engine; the first one is what the others are compared with."""
    step = seconds_in_turn({name: guided_step(engine) for name, engine in engines.items()}, rounds)
    picture = seconds_in_turn(
        {name: whole_picture(engine, steps) for name, engine in engines.items()}, rounds
    )
    first = next(iter(engines))
    rows = []
    for name in engines:
        milliseconds = Spread.of(step[name]).times(1000)
        rate = Spread.of([1 / seconds for seconds in picture[name]])
        rows.append(Row(name, "guided step", "ms", milliseconds, ratios(step[name], step[first])))
        rows.append(
            Row(name, f"picture, {steps} steps", "pictures/s", rate, ratios(picture[name], picture[first]))
        )
    return sorted(rows, key=lambda row: row.task)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--model", default=Settings().model)
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds; one before them warms up")
    parser.add_argument("--steps", type=int, default=20, help="denoising steps of a picture")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of each backend")


def measure(options: argparse.Namespace) -> EngineReport:
    """Open every backend on the model and compare them. `ArtifactError` if the model or a backend is missing."""
    model, rounds, steps, threads = options.model, options.rounds, options.steps, options.threads
    hardware = hardware_line()
    engines: dict[str, Engine] = {
        backend: open_engine(Settings(model=model, backend=backend, device="cpu", threads=threads))
        for backend in BACKENDS
    }
    rows = compare(engines, rounds=rounds, steps=steps)
    for engine in engines.values():
        engine.close()
    packages = {name: version(name) for name in PACKAGES}
    return EngineReport(model, hardware, threads, rounds, steps, packages, rows)


def markdown(report: EngineReport, command: str) -> str:
    """The report as a table, with the hardware and the command above it."""
    packages = ", ".join(f"{name} {number}" for name, number in report.packages.items())
    lines = [
        f"# Engines on {report.model}",
        "",
        f"Hardware: {report.hardware}; {report.threads} threads, fp32. {packages}.  ",
        f"Command: `{command}`; {report.rounds} rounds, backends in turn: median (least - most).",
        "",
        "| task | backend | | time, as a multiple of the first backend's |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row.task} | {row.backend} | {row.value.text(2)} {row.unit} | {row.slower.text(2)} |"
        for row in report.rows
    ]
    return "\n".join(lines) + "\n"
