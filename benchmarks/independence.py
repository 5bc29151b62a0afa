"""A picture alone and in every company: batches of every size, mixed requests, neighbours that come and go.

In 1/255 units of an 8-bit picture, before rounding; what a client can see is the rounded difference.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.engine_tasks import crop
from benchmarks.hardware import hardware_line, usable_cores
from benchmarks.tables import heading, table
from service.contracts import Params
from service.engine.base import Array, Engine, Tile
from service.engine.inpaint import begin_item, reads_image, sampling_table
from service.engine.selection import open_engine
from service.settings import Settings

BACKENDS: tuple[Literal["onnxruntime", "torch"], ...] = ("onnxruntime", "torch")
TARGETS = {
    "guided, from noise": Params(seed=11, steps=4, guidance_scale=2.0),
    "no guidance": Params(seed=12, steps=5, guidance_scale=1.0),
    "from the photo": Params(seed=13, steps=8, strength=0.5, guidance_scale=4.0),
}
NEIGHBOURS = (
    Params(seed=1, steps=9, guidance_scale=2.0),
    Params(seed=2, steps=4, guidance_scale=1.0),
    Params(seed=3, steps=12, strength=0.4, guidance_scale=7.5),
    Params(seed=4, steps=20, guidance_scale=3.0),
    Params(seed=5, steps=3, strength=0.7, guidance_scale=1.0),
    Params(seed=6, steps=7, guidance_scale=20.0),
    Params(seed=7, steps=10, strength=0.3, guidance_scale=2.0),
)
JOINS = {
    "all begin together": 0,
    "it joins a running batch": -2,
    "others join it on its way": 2,
}  # when the neighbours begin, in steps of the target


@dataclass(frozen=True, slots=True)
class Row:
    """The worst of all compositions of one kind. `sizes`: difference in 1/255 by batch size."""

    backend: str
    target: str
    joining: str
    sizes: dict[int, float]
    rounded: int

    @property
    def most(self) -> float:
        """Of all sizes."""
        return max(self.sizes.values())


@dataclass(frozen=True)
class IndependenceReport:
    """All that was measured, and on what."""

    model: str
    hardware: str
    rows: list[Row]


@dataclass(slots=True)
class Member:
    """One item of the batch: its request, its own crop, and how far it is."""

    params: Params
    begins: int
    state: Any = None
    done: int = 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command line may say."""
    parser.add_argument("--model", default=Settings().model)
    parser.add_argument("--most", type=int, default=8, help="items in the largest batch")


def measure(options: argparse.Namespace) -> IndependenceReport:
    """Every backend, target, way to join, and batch size."""
    rows: list[Row] = []
    for backend in BACKENDS:
        settings = Settings(model=options.model, backend=backend, device="cpu", threads=usable_cores())
        engine = open_engine(settings)
        rows += rows_of(engine, backend, options.most)
        engine.close()
    return IndependenceReport(options.model, hardware_line(), rows)


def rows_of(engine: Engine, backend: str, most: int) -> list[Row]:
    """The rows of one engine."""
    rows: list[Row] = []
    for name, target in TARGETS.items():
        alone = picture(engine, target, (), begins=0)
        # Every way to join for the first; one in which the batch changes on its way for the others.
        for joining, begins in JOINS.items() if not rows else list(JOINS.items())[-1:]:
            differences: dict[int, float] = {}
            rounded = 0
            for size in range(2, most + 1):
                shown = picture(engine, target, NEIGHBOURS[: size - 1], begins=begins)
                differences[size] = float(np.abs(shown - alone).max()) * 127.5
                rounded = max(rounded, int(np.abs(_eight_bits(shown) - _eight_bits(alone)).max()))
            rows.append(Row(backend, name, joining, differences, rounded))
    return rows


def picture(engine: Engine, target: Params, neighbours: Sequence[Params], *, begins: int) -> Array:
    """The target's fill [3, s, s] in this company. The neighbours begin `begins` steps after it; each leaves
    when its own steps are done. What begins together is encoded together; the target is decoded with whoever is
    there.
    """
    first = Member(target, begins=max(0, -begins))
    members = [Member(params, begins=max(0, begins)) for params in neighbours]
    # The target stands in the middle, so that it is neither the first nor the last row of the batch.
    members.insert(len(members) // 2, first)
    step = 0
    while not _is_done(engine, first):
        _begin(engine, [member for member in members if member.begins == step])
        running = [one for one in members if one.state is not None and not _is_done(engine, one)]
        rows = [sampling_table(engine.info, one.params).rows[one.done] for one in running]
        engine.step([one.state for one in running], rows)
        for one in running:
            one.done += 1
        step += 1
    present = [one for one in members if one.state is not None]
    pictures = engine.decode([one.state for one in present])
    shown: Array = pictures[present.index(first)]
    return shown


def _begin(engine: Engine, members: Sequence[Member]) -> None:
    if not members:
        return
    tables = [sampling_table(engine.info, one.params) for one in members]
    tiles = [Tile(*_own_crop(engine.info.image_size, one.params)) for one in members]
    encoded = engine.encode(tiles, with_image=any(map(reads_image, tables)))
    for one, own, tile in zip(members, tables, encoded, strict=True):
        assert one.params.seed is not None, "every request here has a seed"
        one.state = begin_item(engine, tile, own, seed=one.params.seed, crop=0)


def _own_crop(side: int, params: Params) -> tuple[Array, Array]:
    """Another picture for each seed."""
    image, mask = crop(side)
    return np.roll(image, 31 * (params.seed or 0), axis=2), mask


def _is_done(engine: Engine, member: Member) -> bool:
    return member.done == len(sampling_table(engine.info, member.params).rows)


def _eight_bits(shown: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    levels: np.ndarray[tuple[int, ...], np.dtype[np.int16]] = np.rint((shown + 1) * 127.5).astype(np.int16)
    return levels


def markdown(report: IndependenceReport, command: str) -> str:
    """The report as a table."""
    lines = heading(f"A picture in company, {report.model}", report.hardware, command)
    lines += [
        "The largest difference of any pixel from the picture computed alone, fp32, over batches of "
        f"2 to {max(report.rows[0].sizes)} with mixed steps, strengths and guidance; 1 is one level of 255.",
        "",
    ]
    lines += table(
        ("backend", "request", "company", "most, in 1/255", "after rounding to 8 bits"),
        [(row.backend, row.target, row.joining, f"{row.most:.5f}", str(row.rounded)) for row in report.rows],
    )
    return "\n".join(lines)
