"""The jobs that a worker holds and their items: what runs, what waits for a place, what is done.

Belongs to the step loop's thread. Knows neither engine nor queue.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import takewhile
from time import monotonic
from typing import Any

from service.contracts import Progress
from service.engine.base import Array, StepCoefficients, Tile
from service.engine.inpaint import candidate_seeds
from service.engine.sampler import NoisePlace, SamplingTable
from service.imaging.preview import PreviewCanvas
from service.imaging.retouch import Refinement, Retouch
from service.queue.consumer import Claim
from service.queue.fairness import WEIGHTS
from service.tracing import is_traced
from service.worker.answer import Answer
from service.worker.scheduler import JobView

PREVIEWED_CANDIDATE = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job's decoded picture, cut into tiles, and its run as a table; `seconds` is what decoding took. Where it has
    large holes, `fine_table` is the run of their fine tiles.
    """

    retouch: Retouch
    tiles: tuple[Tile, ...]
    table: SamplingTable
    seconds: float
    fine_table: SamplingTable | None = None


@dataclass(frozen=True, slots=True)
class Refined:
    """The second pass of one candidate: its fine tiles, and where their noise is; `seconds` is what that took."""

    candidate: int
    refinement: Refinement
    tiles: tuple[Tile, ...]
    places: tuple[NoisePlace, ...]
    seconds: float


@dataclass(slots=True, eq=False)
class Item:
    """One crop of one candidate; `crop` counts the first crops, then the fine tiles. It has a `state` from its first
    place on, and keeps it where it is parked. `waiting_since`, a time of the local clock, and `waiting_from_step`, a
    step of the loop, tell of its last wait.
    """

    job: HeldJob
    candidate: int
    crop: int
    rows: tuple[StepCoefficients, ...]
    waiting_since: float
    waiting_from_step: int
    place: NoisePlace | None = None
    state: Any = None
    done: int = 0

    @property
    def job_id(self) -> str:
        """Id of its job."""
        return self.job.claim.job.id

    @property
    def seed(self) -> int:
        """Seed of its candidate."""
        return self.job.seeds[self.candidate]

    @property
    def is_fine(self) -> bool:
        """Whether it is of the second pass."""
        return self.crop >= len(self.job.prepared_parts.tiles)

    @property
    def view(self) -> int:
        """The number of what the VAE encodes for it: a first crop is that of all candidates, a fine tile of its own."""
        return self.crop + self.candidate * self.job.crops if self.is_fine else self.crop

    @property
    def tile(self) -> Tile:
        """What the model sees of its crop."""
        first = self.job.prepared_parts.tiles
        return (
            self.job.refined[self.candidate].tiles[self.crop - len(first)]
            if self.is_fine
            else first[self.crop]
        )

    @property
    def table(self) -> SamplingTable:
        """The run that it is part of."""
        return self.job.fine_table if self.is_fine else self.job.prepared_parts.table

    @property
    def is_previewed(self) -> bool:
        """Whether what its last step implied is to be shown: of one candidate, every k-th step."""
        every = self.job.claim.job.params.preview
        return self.candidate == PREVIEWED_CANDIDATE and every > 0 and self.done % every == 0

    @property
    def row(self) -> StepCoefficients:
        """The coefficients of its next step."""
        return self.rows[self.done]

    @property
    def remaining(self) -> int:
        """Steps that it still needs."""
        return len(self.rows) - self.done


@dataclass(slots=True, eq=False)
class HeldJob:
    """A claimed job from its claim until it left this worker; `order` counts the claims.

    Its items wait, run, are finished until they are decoded, and at last are fills of a candidate. Those of a large
    hole's fine tiles come when the candidate is `refined`. Of its views (`Item.view`) `unencoded` are to be given to
    the VAE, `encoding` have been, and `encoded` are what came of it. `waiting_since` is the loop's step at which it was
    claimed or one of its items left the batch, `arrived_at` the one at which its items were made; `steps_done` are
    those of all items, `stages` are seconds.
    `batch_sizes` are those of the steps that it had a part in; None where nobody traces it.
    The `canvas` belongs to the thread that paints previews.
    A `closed` job has failed and only waits to be told so, or has left: the VAE's thread drops what it has of it.
    """

    claim: Claim
    order: int
    claimed_at: float
    waiting_since: int
    answer: Answer
    prepared: Prepared | None = None
    closed: bool = False
    waiting: deque[Item] = field(default_factory=deque)
    running: list[Item] = field(default_factory=list)
    finished: list[Item] = field(default_factory=list)
    unencoded: deque[int] = field(default_factory=deque)
    encoding: set[int] = field(default_factory=set)
    encoded: dict[int, Any] = field(default_factory=dict)
    fills: dict[int, dict[int, Array]] = field(default_factory=dict)
    refined: dict[int, Refined] = field(default_factory=dict)
    steps_done: int = 0
    arrived_at: int = 0
    joined_at: float | None = None
    stages: dict[str, float] = field(default_factory=dict)
    batch_sizes: list[int] | None = None
    canvas: PreviewCanvas | None = None

    @classmethod
    def of(cls, claim: Claim, order: int, at: float, step: int) -> HeldJob:
        """A job that was claimed `at` a time of the local clock, and that the loop learned of at `step`."""
        sizes: list[int] | None = [] if is_traced(claim.job) else None
        return cls(claim, order, at, step, Answer(claim.job.params.n), batch_sizes=sizes)

    @property
    def expires_at(self) -> float:
        """Its deadline on the local clock."""
        return self.claimed_at + self.claim.remaining

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each candidate."""
        return candidate_seeds(self.claim.job.params)

    @property
    def prepared_parts(self) -> Prepared:
        """`prepared`, of a job that has been."""
        assert self.prepared is not None, "items exist only once the picture is decoded"
        return self.prepared

    @property
    def crops(self) -> int:
        """Crops of a candidate, fine tiles included."""
        return len(self.prepared_parts.tiles) + self.prepared_parts.retouch.fine_tiles

    @property
    def items(self) -> int:
        """Items that it is made of, in whatever stage."""
        return self.crops * self.claim.job.params.n

    @property
    def fine_table(self) -> SamplingTable:
        """The run of the fine tiles, of a job that has some."""
        table = self.prepared_parts.fine_table
        assert table is not None, "a job with fine tiles is prepared with their run"
        return table

    @property
    def is_denoised(self) -> bool:
        """Whether the last step of its last item is done."""
        to_come = self.prepared_parts.retouch.refines and len(self.refined) < self.claim.job.params.n
        return not (self.running or self.waiting or to_come)

    @property
    def view(self) -> JobView:
        """What the scheduler sees of it; until its picture is decoded, the places that its edge counted."""
        unknown = self.prepared is None and not self.closed
        return JobView(
            id=self.claim.job.id,
            order=self.order,
            weight=WEIGHTS[self.claim.job.params.priority],
            places=self.claim.job.places if unknown else len(self.waiting),
            ready=self._ready,
            running=tuple(item.remaining for item in self.running),
            waiting_since=self.waiting_since,
            unencoded=len(self.unencoded),
            encoding=len(self.encoding),
            undecoded=len(self.finished),
        )

    @property
    def _ready(self) -> int:
        """Items that could join now: in their order, those before the first whose crop is not encoded."""
        if not (self.unencoded or self.encoding):
            return len(self.waiting)
        return sum(1 for _ in takewhile(self._is_ready, self.waiting))

    def _is_ready(self, item: Item) -> bool:
        return item.state is not None or item.view in self.encoded

    @property
    def progress(self) -> Progress:
        """Steps that its items have behind them, on average; the two passes of a large hole are one run."""
        first, fine = self.prepared_parts.tiles, self.prepared_parts.retouch.fine_tiles
        steps, fine_steps = len(self.prepared_parts.table.rows), len(self.fine_table.rows) if fine else 0
        whole = self.claim.job.params.n * (len(first) * steps + fine * fine_steps)
        return Progress(self.steps_done * (steps + fine_steps) // whole, steps + fine_steps)

    def admit(self, prepared: Prepared, step: int) -> None:
        """Make its items, candidates outermost, so that the first candidate is encoded first."""
        self.prepared = prepared
        self.arrived_at = step
        now = monotonic()
        self.stages = {"queue": self.claim.queued_seconds, "decode": prepared.seconds}
        self.waiting.extend(
            Item(self, candidate, crop, prepared.table.rows, now, step)
            for candidate in range(self.claim.job.params.n)
            for crop in range(len(prepared.tiles))
        )
        self.unencoded.extend(range(len(prepared.tiles)))

    def admit_refined(self, refined: Refined, step: int) -> None:
        """Make the items of a candidate's second pass."""
        self.refined[refined.candidate] = refined
        self.add_seconds("decode", refined.seconds)
        now, first = monotonic(), len(self.prepared_parts.tiles)
        items = [
            Item(self, refined.candidate, first + index, self.fine_table.rows, now, step, place)
            for index, place in enumerate(refined.places)
        ]
        self.waiting.extend(items)
        self.unencoded.extend(item.view for item in items)

    def next_to_encode(self) -> Item:
        """Its first item whose view is to be given to the VAE, which it is now."""
        view = self.unencoded.popleft()
        self.encoding.add(view)
        return next(item for item in self.waiting if item.view == view)

    def take_encoded(self, view: int, encoded: Any) -> None:
        """Note what the VAE made of a view."""
        self.encoding.remove(view)
        self.encoded[view] = encoded

    def park(self, count: int, step: int) -> None:
        """Take the items that joined last out of the batch; with their state, they are the next to join."""
        self.waiting_since = step
        for _ in range(count):
            item = self.running.pop()
            item.waiting_since, item.waiting_from_step = monotonic(), step
            self.waiting.appendleft(item)

    def put_back(self, item: Item) -> None:
        """Let an item that could not join be the next to do so."""
        self.waiting.appendleft(item)

    def advance(self, item: Item, step: int) -> None:
        """Count `step` of the loop for a running item."""
        item.done += 1
        self.steps_done += 1
        if item.remaining == 0:
            self.running.remove(item)
            self.finished.append(item)
            self.waiting_since = step
            if self.is_denoised and self.joined_at is not None:
                self.stages["denoise"] = monotonic() - self.joined_at

    def take_fill(self, item: Item, fill: Array) -> list[Array] | None:
        """Note a decoded item [3, s, s]; answers its candidate's fills of the pass, in order, with the last of them."""
        self.finished.remove(item)
        fills = self.fills.setdefault(item.candidate, {})
        fills[item.crop] = fill
        first = self.prepared_parts.tiles
        if len(fills) < (self.crops - len(first) if item.is_fine else len(first)):
            return None
        del self.fills[item.candidate]
        return [fills[crop] for crop in sorted(fills)]

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add to what a stage took."""
        self.stages[stage] = self.stages.get(stage, 0.0) + seconds

    def close(self) -> None:
        """It has failed or left: drop all that it would still have run."""
        self.closed = True
        for parts in (self.waiting, self.running, self.finished, self.unencoded, self.encoding, self.encoded):
            parts.clear()
        self.fills.clear()
