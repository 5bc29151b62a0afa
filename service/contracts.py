"""What the parts of the service say to each other: jobs, parameters, results, status and limits.

Imports nothing local. Edges write a `Job`, workers answer a `Result`; both travel through the queue as data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

MEBIBYTE = 1024 * 1024
MAX_UPLOAD_BYTES = 30 * MEBIBYTE
MAX_PIXELS = 50_000_000
MIN_SIDE = 8
MAX_CROPS = 64
MAX_SEED = 2**32 - 1
DEFAULT_STEPS = 20  # of a model that leaves the number open
DEFAULT_DPM_SOLVER_STEPS = 10  # of the same with dpm-solver++
DEFAULT_GUIDANCE_SCALE = 2.0
COMBINATION = "combination"  # type of the errors of `Params` that no field has alone; told as they are


class Status(StrEnum):
    """Where a job is in its life (architecture: "The life of a job")."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEAD_LETTERED = "dead_lettered"


TERMINAL = frozenset(
    {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED, Status.DEAD_LETTERED}
)


class MaskPolarity(StrEnum):
    """Which pixels of the mask mean "fill here"."""

    WHITE = "white"
    BLACK = "black"
    TRANSPARENT = "transparent"


class Strategy(StrEnum):
    """How the hole is shown to the model: crops at native resolution, or the whole picture made smaller."""

    AUTO = "auto"
    CROP = "crop"
    RESIZE = "resize"


class OutputFormat(StrEnum):
    """Formats that a picture can be asked for in; by default the input's own."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


class Sampler(StrEnum):
    """How noise is taken away step by step."""

    DDIM = "ddim"
    DPM_SOLVER_PLUS_PLUS = "dpm-solver++"


class Priority(StrEnum):
    """Weight of a job among its client's and others' jobs."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]


class Params(BaseModel):
    """Every parameter of an inpainting request; the one schema behind all interfaces. No unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False)

    n: int = Field(default=1, ge=1, le=10, description="Candidates; candidate i uses seed + i.")
    model: str | None = Field(
        default=None, max_length=128, description="Name from /v1/models; default: the first."
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Denoising steps of a full-strength run; default: 20, with dpm-solver++ 10. A few-step model "
        "takes its own number alone.",
    )
    guidance_scale: FiniteFloat | None = Field(
        default=None,
        ge=1,
        le=20,
        description="1 turns guidance off; default: the model's, 2.0 unless it is a few-step model, which takes "
        "its own scale alone.",
    )
    strength: FiniteFloat = Field(
        default=1.0,
        ge=0.3,
        le=1,
        description="1 starts from pure noise; below, from the noised photo. steps x strength is at least 1.",
    )
    sampler: Sampler = Field(
        default=Sampler.DDIM,
        description="How noise is taken away step by step: dpm-solver++ needs fewer steps than ddim. A few-step "
        "model takes ddim alone.",
    )
    seed: int | None = Field(
        default=None, ge=0, le=MAX_SEED, description="Random when left out; echoed in X-Seed."
    )
    mask_polarity: MaskPolarity = Field(
        default=MaskPolarity.WHITE, description="Which pixels of the mask are filled."
    )
    strategy: Strategy = Field(
        default=Strategy.AUTO,
        description="crop: crops around the hole at native resolution; resize: the whole picture at once.",
    )
    context: int | None = Field(
        default=None, ge=0, le=4096, description="Pixels around a hole; default max(128, half its side)."
    )
    dilate: int | None = Field(
        default=None, ge=0, le=256, description="Pixels by which the hole is grown; default: automatic."
    )
    feather: int | None = Field(
        default=None, ge=0, le=256, description="Pixels over which the fill blends in; default: automatic."
    )
    color_match: bool = Field(default=True, description="Match the fill's tone to the ring around the hole.")
    output_format: OutputFormat | None = Field(
        default=None, description="Format of the answer; default: the input's own."
    )
    quality: int | None = Field(
        default=None, ge=1, le=100, description="JPEG or WebP quality; default: the source's tables, or 95."
    )
    keep_metadata: bool = Field(
        default=True, description="Keep EXIF, XMP, text, profile and density; false: only pixels, in sRGB."
    )
    priority: Priority = Field(
        default=Priority.INTERACTIVE, description="batch waits longer while others are interactive."
    )
    timeout: FiniteFloat | None = Field(
        default=None, gt=0, le=86_400, description="Seconds until the job expires."
    )
    preview: int = Field(
        default=0,
        ge=0,
        le=100,
        description="Every k-th step a progress event carries a small picture of the fill so far; 0: none.",
    )
    effective_mask: bool = Field(
        default=False,
        description="Also answer which pixels may have changed: the mask as it was grown and feathered.",
    )

    @property
    def largest_seed(self) -> int:
        """The largest seed with which the last candidate's still is one."""
        return MAX_SEED - (self.n - 1)

    @property
    def steps_run(self) -> int:
        """Denoising steps that are run: a strength below 1 skips the first ones. `ValueError` where the model's
        own number has not been put in yet.
        """
        if self.steps is None:
            raise ValueError("steps is still open: the model's own number comes first")
        return int(self.steps * self.strength)

    @model_validator(mode="after")
    def _leave_a_step(self) -> Self:
        if self.steps is not None and self.steps_run < 1:
            raise PydanticCustomError(
                COMBINATION,
                "steps is {steps} and strength is {strength}, which leaves no denoising step: "
                "steps x strength must be at least 1. Raise steps or strength.",
                {"steps": self.steps, "strength": f"{self.strength:g}"},
            )
        return self

    @model_validator(mode="after")
    def _leave_seeds_for_all_candidates(self) -> Self:
        if self.seed is not None and self.seed > self.largest_seed:
            raise PydanticCustomError(
                COMBINATION,
                "seed is {seed}, but with n = {n} (seeds seed, seed + 1, ...) it must be at most {largest}.",
                {"seed": self.seed, "n": self.n, "largest": self.largest_seed},
            )
        return self


@dataclass(frozen=True, slots=True)
class Job:
    """A request admitted by an edge: encoded picture and mask as uploaded, and resolved parameters.

    `params.model`, `seed`, `steps` and `guidance_scale` are never None in a job. `deadline`: Unix seconds of the
    queue's clock. `places` are its crops times its candidates; `distilled`: a step evaluates the network once, as
    guidance is in its weights. `vae_cost` is its model's (`ServedModel`). A client that repeats an
    `idempotency_key` gets its earlier job, if the request has the same `fingerprint`. `traceparent` and
    `tracestate` name the span that work on it belongs to (W3C Trace Context); None outside of a trace.
    """

    id: str
    client: str
    params: Params
    image: bytes
    mask: bytes
    deadline: float
    places: int = 1
    distilled: bool = False
    vae_cost: float | None = None
    idempotency_key: str | None = None
    fingerprint: str = ""
    traceparent: str | None = None
    tracestate: str | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A crop of the picture in pixels: [left, right) x [top, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.bottom - self.top


@dataclass(frozen=True, slots=True)
class Result:
    """A finished job. `pictures` are encoded files, one a candidate; `stages` are seconds by stage name
    (queue, decode, vae_encode, denoise, vae_decode, encode); `notes` tell the user what was changed on the
    way (a palette that became RGB, say). `effective_mask`, where it was asked for, is a gray PNG of the picture's size
    as displayed: 255 where the fill alone is, 0 where nothing was touched, the feather in between.
    """

    pictures: tuple[bytes, ...]
    content_type: str
    seeds: tuple[int, ...]
    model: str
    boxes: tuple[Box, ...] = ()
    stages: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    effective_mask: bytes | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no picture: a stable error code (errors.py) and what the user is told."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What a client may know of its job. `created` and `deadline` are Unix seconds of the queue's clock;
    `attempt` counts the workers that took it; `position` are the jobs before it while it is queued; `step` of
    `steps` are done in this attempt; `failure` is set where it ended without a result.
    """

    id: str
    status: Status
    model: str
    created: float
    deadline: float
    attempt: int = 0
    position: int | None = None
    step: int = 0
    steps: int = 0
    failure: Failure | None = None


class EventKind(StrEnum):
    """What an event of a job tells. The terminal kinds have the names of the terminal statuses."""

    QUEUED = "queued"
    RUNNING = "running"
    PROGRESS = "progress"
    SNAPSHOT = "snapshot"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEAD_LETTERED = "dead_lettered"


TERMINAL_KINDS = frozenset(EventKind(status.value) for status in TERMINAL)


@dataclass(frozen=True, slots=True)
class Preview:
    """A small encoded picture of what a step implies that a candidate becomes; at most 256 pixels on a side."""

    data: bytes
    content_type: str = "image/jpeg"
    candidate: int = 0


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One event of a job and where the job stood then. `id` resumes a stream after it; it is empty for news
    that are not kept (the position in the queue). A snapshot stands for events that are no longer kept. Of a job's
    previews the newest alone is kept, and comes with the event that it was told with.
    """

    id: str
    kind: EventKind
    attempt: int
    position: int | None = None
    step: int = 0
    steps: int = 0
    failure: Failure | None = None
    preview: Preview | None = None

    @property
    def terminal(self) -> bool:
        """Whether no event follows."""
        return self.kind in TERMINAL_KINDS


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a worker is with a job: `step` of `steps`, and now and then what it looks like."""

    step: int
    steps: int
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a live worker has loaded, as `/v1/models` lists it. `sha256` is of its manifest.

    `allowed_steps` are None where a request may ask for any number. A few-step model has its own alone, and
    `guidance_scale` is then the only one too. `vae_cost` is what encoding and decoding a crop takes, in evaluations of
    the network, as its worker measured it; None of a worker that does not tell.
    """

    name: str
    image_size: int
    backend: str
    device: str
    precision: str
    sha256: str
    default_steps: int = DEFAULT_STEPS
    allowed_steps: tuple[int, ...] | None = None
    guidance_scale: float = DEFAULT_GUIDANCE_SCALE
    vae_cost: float | None = None

    @property
    def is_distilled(self) -> bool:
        """Whether guidance and the number of steps are in its weights."""
        return self.allowed_steps is not None


@dataclass(frozen=True, slots=True)
class WorkerRegistration:
    """A worker as the queue knows it. `worker_id` is unique a process start; `places` are crops a step;
    `throughput` is what it measures, in the unit of `queue/fairness.py:cost_of` a second (0: not known),
    `step_seconds` what a step of one crop takes, guided where the model's steps are. They and the models' `vae_cost`
    change as its steps do.
    """

    worker_id: str
    models: tuple[ServedModel, ...]
    places: int
    throughput: float = 0.0
    step_seconds: float = 0.0
