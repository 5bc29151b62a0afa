"""What ONNX Runtime could do otherwise on a CPU: other precisions, OpenVINO, other session options. The time of a
guided step beside what is served, in turn, and how far the pictures are from fp32.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import openvino_step
from benchmarks.cpu_forms import FULL, NO_OPENVINO, Feed, Form, fold, forms, open_form, run_options
from benchmarks.hardware import hardware_line
from benchmarks.measuring import Spread, ratios, seconds_in_turn
from benchmarks.tables import heading, table
from service.artifacts import UNET_GRAPH, model_folder
from service.contracts import Params
from service.cores import usable_cores
from service.denoising import Array, LatentBatch, StepCoefficients, StepRows, graph_inputs
from service.engine.inpaint import run
from service.engine.latent_engine import LatentEngine
from service.engine.selection import open_engine
from service.settings import Settings

if TYPE_CHECKING:
    from benchmarks.sampler_cases import Case

PHOTOS = Path(__file__).resolve().parents[1] / "training" / "recipes" / "tiny-photos"
OPENVINO = "OpenVINO fp32"
CALIBRATION_PHOTOS = 2
GUIDANCE = 2.0
SEED = 7
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")

Call = Callable[[Feed], Array]


@dataclass(frozen=True)
class FormRow:
    """One form: milliseconds of a guided step and times the served form's, by crops of the batch; how far a step and a
    picture are from fp32. `obstacle` says why it was not measured; None where a number was not taken.
    """

    name: str
    obstacle: str | None = None
    milliseconds: dict[int, Spread] | None = None
    times_fp32: dict[int, Spread] | None = None
    step_difference: float | None = None
    levels: float | None = None
    worst_levels: float | None = None


@dataclass(frozen=True)
class CpuPrecisionReport:
    """All forms, and on what."""

    model: str
    hardware: str
    instructions: str
    threads: int
    rounds: int
    steps: int
    pictures: int
    rows: list[FormRow]


class OtherStep(LatentEngine):
    """An engine whose step runs in another session, or is only watched; the rest is the engine's own."""

    def __init__(self, engine: LatentEngine, session: Any, seen: list[Feed] | None = None) -> None:
        super().__init__(engine.info, engine.limits, engine.latent_downscale)
        self._engine, self._session, self._seen = engine, session, seen

    def vae_encode(self, images: Array) -> Array:
        """The engine's."""
        return self._engine.vae_encode(images)

    def advance(self, on_device: LatentBatch, rows: StepRows) -> LatentBatch:
        """The session's, with its inputs noted where that is asked for."""
        feed: Feed = dict(graph_inputs(on_device, rows))
        if self._seen is not None:
            self._seen.append(feed)
        x, clean = self._session.run(None, feed)
        return LatentBatch(x, clean, on_device.condition)

    def vae_decode(self, latents: Array) -> Array:
        """The engine's."""
        return self._engine.vae_decode(latents)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--model", default=Settings().model)
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds; one before them warms up")
    parser.add_argument("--crops", type=int, nargs="+", default=[1, 4], help="of a step's batch")
    parser.add_argument("--steps", type=int, default=20, help="of a picture")
    parser.add_argument("--most", type=int, default=4, help="pictures, of the repository's eight photographs")
    parser.add_argument("--openvino", help="a Python that has numpy and onnxruntime-openvino")


def measure(options: argparse.Namespace) -> CpuPrecisionReport:
    """Make every form, then take their pictures and their times."""
    from benchmarks.sampler_cases import sampler_cases

    hardware, cores = hardware_line(), usable_cores()
    engine = open_engine(
        Settings(model=options.model, backend="onnxruntime", device="cpu", threads=len(cores))
    )
    assert isinstance(engine, LatentEngine)
    cases = list(sampler_cases(PHOTOS, engine.info.image_size, options.most + CALIBRATION_PHOTOS))
    with tempfile.TemporaryDirectory() as made:
        folded = Path(made) / "folded.onnx"
        fold(model_folder(Settings().model_store, options.model) / UNET_GRAPH, folded)
        bench = Bench(engine, folded, len(cores), options)
        found = bench.rows(forms(cores), cases[: options.most], cases[options.most :])
    return CpuPrecisionReport(
        options.model,
        hardware,
        _instructions(),
        len(cores),
        options.rounds,
        options.steps,
        options.most,
        found,
    )


@dataclass(frozen=True)
class Bench:
    """What the measurements have in common: an engine, the folded graph of its step in a folder for others, options."""

    engine: LatentEngine
    folded: Path
    threads: int
    options: argparse.Namespace

    def rows(self, wanted: Sequence[Form], cases: Sequence[Case], others: Sequence[Case]) -> list[FormRow]:
        """A row a form, the first being what the others are compared with; ranges are taken from `others`."""
        first, *_ = wanted
        opened, obstacles = self._open(
            wanted, self._steps_of(open_form(first, self.folded, self.threads), others)
        )
        feeds = {crops: _guided_step(self.engine, crops) for crops in self.options.crops}
        with self._openvino(feeds) as openvino:
            calls = {form.name: partial(_run, session, form) for form, session in opened} | openvino
            seconds = {
                crops: seconds_in_turn(
                    {name: partial(call, feed) for name, call in calls.items()}, self.options.rounds
                )
                for crops, feed in feeds.items()
            }
            steps = {name: call(feeds[self.options.crops[0]]) for name, call in calls.items()}
        pictures = {
            form.name: self._pictures(session, cases)
            for form, session in opened
            if form.make or form is first
        }
        names = [*(form.name for form in wanted), OPENVINO]
        obstacles = {OPENVINO: NO_OPENVINO} | obstacles
        return [
            _row(name, seconds, steps, pictures, cases) if name in calls else FormRow(name, obstacles[name])
            for name in names
        ]

    def _open(
        self, wanted: Sequence[Form], steps: Sequence[Feed]
    ) -> tuple[list[tuple[Form, Any]], dict[str, str]]:
        """The sessions of the forms that can be had, and why the others can't."""
        opened, obstacles = [], {}
        for number, form in enumerate(wanted):
            if form.obstacle:
                obstacles[form.name] = form.obstacle
                continue
            graph = self.folded
            try:
                if form.make:
                    graph = self.folded.with_name(f"{number}.onnx")
                    form.make(self.folded, graph, steps)
                session = open_form(form, graph, self.threads)
                _run(session, form, _guided_step(self.engine, 1))
                opened.append((form, session))
            except Exception as error:  # whatever stops the quantiser or the runtime is the answer
                obstacles[form.name] = str(error).splitlines()[0]
        return opened, obstacles

    def _steps_of(self, session: Any, cases: Sequence[Case]) -> list[Feed]:
        """The inputs of all steps of the pictures."""
        seen: list[Feed] = []
        self._pictures(session, cases, seen)
        return seen

    def _pictures(self, session: Any, cases: Sequence[Case], seen: list[Feed] | None = None) -> list[Array]:
        """The fills [3, s, s] of the cases' holes, all from the same noise."""
        from benchmarks.sampler_cases import tile_of

        engine, params = OtherStep(self.engine, session, seen), Params(steps=self.options.steps, seed=SEED)
        tiles = [tile_of(case) for case in cases]
        return [run(engine, [(tile.image, tile.mask)], params).fills[0, 0] for tile in tiles]

    @contextmanager
    def _openvino(self, feeds: dict[int, Feed]) -> Iterator[dict[str, Call]]:
        """A step on OpenVINO in a process of each batch's own, by its name; nothing where no Python has it."""
        if self.options.openvino is None:
            yield {}
            return
        with ExitStack() as stack:
            steps = {
                len(feed["x"]): stack.enter_context(
                    other_python(self.options.openvino, self.folded, feed, self.threads)
                )
                for feed in feeds.values()
            }
            yield {OPENVINO: lambda feed: steps[len(feed["x"])]()}


@contextmanager
def other_python(python: str, graph: Path, feed: Feed, threads: int) -> Iterator[Callable[[], Array]]:
    """A call that computes a step of the graph in another Python, and gives the next latents."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, output = Path(folder) / "inputs.npz", Path(folder) / "output.npy"
        np.savez(inputs, **feed)
        command = [python, openvino_step.__file__, str(graph), str(inputs), str(output), str(threads)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            asks, answers = process.stdin, process.stdout
            assert asks is not None
            assert answers is not None
            if answers.readline() != "ready\n":
                raise SystemExit(f"{python} could not run the step on OpenVINO: its message is above.")
            answer: Array = np.load(output)

            def step() -> Array:
                asks.write("step\n")
                asks.flush()
                answers.readline()
                return answer

            yield step
            asks.close()


def _run(session: Any, form: Form, feed: Feed) -> Array:
    x: Array = session.run(None, feed, run_options(form))[0]
    return x


def _guided_step(engine: LatentEngine, crops: int) -> Feed:
    """The inputs of a step of any latents, all with guidance."""
    generator, (channels, *side) = np.random.default_rng(SEED), engine.latent_shape
    x, clean = (generator.standard_normal((crops, channels, *side), dtype=np.float32) for _ in range(2))
    condition = generator.standard_normal((crops, channels + 1, *side), dtype=np.float32)
    rows = StepRows.of([StepCoefficients(500, 0.9, -0.4, GUIDANCE)] * crops)
    return dict(graph_inputs(LatentBatch(x, clean, condition), rows))


def _row(
    name: str,
    seconds: dict[int, dict[str, list[float]]],
    steps: dict[str, Array],
    pictures: dict[str, list[Array]],
    cases: Sequence[Case],
) -> FormRow:
    levels = []
    if name in pictures:
        from benchmarks.sampler_cases import levels_between

        pairs = zip(cases, pictures[name], pictures[FULL], strict=True)
        levels = [levels_between(case, found, expected) for case, found, expected in pairs]
    return FormRow(
        name,
        milliseconds={crops: Spread.of(taken[name]).times(1000) for crops, taken in seconds.items()},
        times_fp32={crops: ratios(taken[name], taken[FULL]) for crops, taken in seconds.items()},
        step_difference=float(np.linalg.norm(steps[name] - steps[FULL]) / np.linalg.norm(steps[FULL])),
        levels=float(np.mean(levels)) if levels else None,
        worst_levels=max(levels) if levels else None,
    )


def _instructions() -> str:
    """Those of the CPU that low precision is fast with."""
    information = Path("/proc/cpuinfo")
    words = set(information.read_text(encoding="utf-8").split()) if information.exists() else set()
    has = [name for name in INSTRUCTIONS if name in words]
    lacks = [name for name in INSTRUCTIONS if name not in words]
    return f"has {', '.join(has) or 'none'}; lacks {', '.join(lacks) or 'none'}"


def markdown(report: CpuPrecisionReport, command: str) -> str:
    """The report as a table."""
    lines = heading("Other precisions and options of ONNX Runtime on a CPU", report.hardware, command)
    lines += [
        f"A guided step of {report.model}, {report.threads} threads, {report.rounds} rounds, all forms in turn; times "
        "fp32: more than 1 is slower, median (least - most). The differences are from the first line: of one step, "
        f"norm over norm; in the holes of {report.pictures} photographs after {report.steps} steps, mean in levels of "
        f"255, and of the worst photograph. Of the instructions for it the CPU {report.instructions}.",
        "",
    ]
    sizes = sorted(next(row.milliseconds for row in report.rows if row.milliseconds))
    titles = [f"{'crop' if size == 1 else 'crops'}: ms; times fp32" for size in sizes]
    columns = ["", *(f"{size} {title}" for size, title in zip(sizes, titles, strict=True))]
    return "\n".join(
        [*lines, *table([*columns, "one step", "pictures"], [_cells(row, sizes) for row in report.rows])]
    )


def _cells(row: FormRow, sizes: Sequence[int]) -> list[str]:
    if row.milliseconds is None or row.times_fp32 is None:
        return [row.name, f"not measured: {row.obstacle}", *[""] * (len(sizes) + 1)]
    times = [f"{row.milliseconds[size].median:.0f}; {row.times_fp32[size].text(2)}" for size in sizes]
    levels = "" if row.levels is None else f"{row.levels:.2f} ({row.worst_levels:.2f})"
    return [row.name, *times, f"{row.step_difference:.1e}", levels]
