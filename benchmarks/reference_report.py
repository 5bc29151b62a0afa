"""What the comparison with the published order has found, the goals beside it, and how it looks as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.measuring import Spread
from benchmarks.tables import heading, table

PUBLISHED = "published order, fp32"
CPU_STEP_GOAL = 2.5  # times as fast a guided step
GPU_PICTURE_GOAL = 8.0  # times as fast a whole picture
GPU_STEP_GOAL = 3.0  # milliseconds of a guided step of one picture
GPU_RATE_GOAL = 20.0  # pictures a second
GPU_OF_THE_GOALS = "H100"


@dataclass(frozen=True)
class ContenderRow:
    """One contender on a device, or why it was not measured. Seconds of a guided step, the encodings, the decoding and
    a whole picture, all of one picture; `step_faster` and `picture_faster`: how many times as long the published order
    took, round by round. `difference` is that of one decoded picture after a step to the published order's, the mean
    of all values in levels of 255. `rates`: pictures a second by batch size, with full batches.
    """

    contender: str
    device: str
    obstacle: str | None = None
    step: Spread | None = None
    step_faster: Spread | None = None
    encode: Spread | None = None
    decode: Spread | None = None
    picture: Spread | None = None
    picture_faster: Spread | None = None
    difference: float | None = None
    rates: dict[int, Spread] | None = None

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"{self.contender}, {self.device}"

    @property
    def best_batch(self) -> int | None:
        """The batch size with the highest rate."""
        rates = self.rates or {}
        return max(rates, key=lambda batch: rates[batch].median) if rates else None


@dataclass(frozen=True)
class Goal:
    """What was aimed at, what the best of ours came to, and whether that is enough; `reached` is None where the goal's
    device was not there.
    """

    goal: str
    found: str
    reached: bool | None


@dataclass(frozen=True)
class ReferenceReport:
    """All that was measured, and on what. `whole`: the devices on which a whole picture was run through."""

    model: str
    hardware: str
    gpu: str
    threads: int
    rounds: int
    steps: int
    whole: tuple[str, ...]
    packages: dict[str, str]
    goals: list[Goal]
    rows: list[ContenderRow]


def goals(rows: Sequence[ContenderRow], gpu: str) -> list[Goal]:
    """Every goal beside the best of ours, by medians."""
    on_cpu = [row for row in rows if row.device == "cpu" and row.contender != PUBLISHED]
    on_gpu = [row for row in rows if row.device == "cuda" and row.contender != PUBLISHED]
    is_meant = GPU_OF_THE_GOALS in gpu
    return [
        _at_least(
            f"CPU: a guided step at least {CPU_STEP_GOAL:g} times as fast",
            CPU_STEP_GOAL,
            [(row.name, row.step_faster) for row in on_cpu],
            "times",
        ),
        _at_least(
            f"{GPU_OF_THE_GOALS}: a whole picture at least {GPU_PICTURE_GOAL:g} times as fast",
            GPU_PICTURE_GOAL,
            [(row.name, row.picture_faster) for row in on_gpu],
            "times",
            is_meant=is_meant,
        ),
        _at_least(
            f"{GPU_OF_THE_GOALS}: a guided step of one picture in at most {GPU_STEP_GOAL:g} ms",
            -GPU_STEP_GOAL,
            [(row.name, row.step.times(-1000) if row.step else None) for row in on_gpu],
            "ms",
            is_meant=is_meant,
        ),
        _at_least(
            f"{GPU_OF_THE_GOALS}: at least {GPU_RATE_GOAL:g} pictures/s",
            GPU_RATE_GOAL,
            [(row.name, rate) for row in on_gpu for rate in (row.rates or {}).values()],
            "pictures/s",
            is_meant=is_meant,
        ),
    ]


def _at_least(
    goal: str, wanted: float, found: Iterable[tuple[str, Spread | None]], unit: str, *, is_meant: bool = True
) -> Goal:
    """What is wanted small comes with its sign turned."""
    measured = [(spread, name) for name, spread in found if spread is not None]
    if not measured:
        return Goal(goal, "not measured", None)
    best, name = max(measured, key=lambda pair: pair[0].median)
    told = Spread(-best.most, -best.median, -best.least) if wanted < 0 else best
    return Goal(goal, f"{told.text(2)} {unit}: {name}", best.median >= wanted if is_meant else None)


def markdown(report: ReferenceReport, command: str) -> str:
    """The report: the goals, then every contender, then rates by batch size."""
    packages = ", ".join(f"{name} {number}" for name, number in report.packages.items())
    lines = heading(
        f"Beside the published order: {report.model}", f"{report.hardware}; GPU: {report.gpu}", command
    )
    lines += [
        f"{report.threads} threads on a CPU; {packages}; {report.rounds} rounds, contenders in turn in one process: "
        "median (least - most).",
        "",
        *table(
            ("goal", "found", "reached"),
            [
                (goal.goal, goal.found, {True: "yes", False: "no", None: "not known"}[goal.reached])
                for goal in report.goals
            ],
        ),
        *_contenders(report),
        "The published order is a plain PyTorch network with the same weights: positions of the local lambda by a "
        "convolution of three dimensions, einsums one after the other, tokens projected at each forward, both branches "
        "of guidance in full, the autoencoder run on the picture and on the masked picture; all as PyTorch computes "
        "fp32 by default, which on a GPU has convolutions in TF32. "
        f"{_how_whole(report)} Difference: of one decoded picture after a step, the mean of all values.",
        "",
        *_rates(report),
    ]
    return "\n".join(lines)


def _how_whole(report: ReferenceReport) -> str:
    computed = f"A whole picture is {report.steps} times the step, and the calls of the autoencoder, of the same round"
    if not report.whole:
        return f"{computed}; it was not run through."
    devices = ", ".join(report.whole)
    return f"A whole picture, {report.steps} steps, was run through on: {devices}. Elsewhere: {computed}."


def _contenders(report: ReferenceReport) -> list[str]:
    titles = (
        "",
        "guided step, ms",
        "times as fast",
        "encode, ms",
        "decode, ms",
        f"a whole picture, {report.steps} steps, s",
        "times as fast",
        "difference, of 255",
    )
    rows = []
    for row in report.rows:
        cells = [row.name, f"not measured: {row.obstacle}" if row.obstacle else _text(row.step, 1e3, 1)]
        cells += [_text(row.step_faster, 1, 2), _text(row.encode, 1e3, 0), _text(row.decode, 1e3, 0)]
        cells += [_text(row.picture, 1, 2), _text(row.picture_faster, 1, 2)]
        cells += ["" if row.difference is None else f"{row.difference:.4f}"]
        rows.append(cells)
    return table(titles, rows)


def _rates(report: ReferenceReport) -> list[str]:
    """Pictures a second by batch size, where there is more than one."""
    rows = [
        (row.name, str(batch), rate.text(2), "best" if batch == row.best_batch else "")
        for row in report.rows
        for batch, rate in sorted((row.rates or {}).items())
        if len(row.rates or {}) > 1
    ]
    return table(("", "batch", "pictures/s", ""), rows) if rows else []


def _text(spread: Spread | None, factor: float, digits: int) -> str:
    return "" if spread is None else spread.times(factor).text(digits)
