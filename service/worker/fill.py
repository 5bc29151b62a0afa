"""One picture with no queue: decode, the engine's loop over this request alone, compose, encode.

The command line's way; a worker takes the same steps with many requests at a time (loop.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

from service.contracts import Params, Result
from service.engine.base import Array, Engine
from service.engine.inpaint import Inpainting, StepCallback, refinement_table, run, sampling_table
from service.engine.sampler import NoisePlace
from service.imaging.effective_mask import effective_mask_file
from service.imaging.encode import EncodedPicture
from service.imaging.retouch import Refinement, Retouch, finish, prepare, refine

Done = TypeVar("Done")


def noise_places(refinement: Refinement) -> tuple[NoisePlace, ...]:
    """Where the noise of the fine tiles is, in the engine's words."""
    return tuple(NoisePlace(at.stream, at.rows, at.columns, at.top, at.left) for at in refinement.noise)


def fill_picture(
    engine: Engine,
    image: bytes,
    mask: bytes,
    params: Params,
    *,
    max_pixels: int,
    on_step: StepCallback | None = None,
) -> Result:
    """Fill the hole of an encoded picture, once a candidate. `params.seed` must be known.

    `on_step(done, total, seconds)` is called after each step, those of a second pass over large holes included.
    Raises the `InvalidPicture` errors of imaging, and `InvalidParameter` for a run of no steps.
    """
    started = perf_counter()
    retouch = prepare(image, mask, params, model_size=engine.info.image_size, max_pixels=max_pixels)
    filling = _Filling(engine, retouch, params, on_step)
    filling.add_seconds("decode", perf_counter() - started)
    inpainting = filling.run(retouch.tiles, params)
    encoded = [
        filling.finished(fills, seed) for fills, seed in zip(inpainting.fills, inpainting.seeds, strict=True)
    ]
    return Result(
        pictures=tuple(picture.data for picture in encoded),
        content_type=encoded[0].content_type,
        seeds=inpainting.seeds,
        model=engine.info.model,
        boxes=retouch.boxes,
        stages=filling.stages,
        notes=encoded[0].notes,
        effective_mask=effective_mask_file(retouch) if params.effective_mask else None,
    )


@dataclass
class _Filling:
    """One request on its way through the engine, with the seconds of each stage."""

    engine: Engine
    retouch: Retouch
    params: Params
    on_step: StepCallback | None
    stages: dict[str, float] = field(default_factory=dict)
    steps_done: int = 0

    def finished(self, fills: Array, seed: int) -> EncodedPicture:
        """One candidate's first fills [crops, 3, s, s] as a file; large holes are looked at once more before."""
        if not self.retouch.refines:
            return self._timed("encode", lambda: finish(self.retouch, fills, self.params))
        refinement = self._timed("decode", lambda: refine(self.retouch, fills, self.params))
        tiles = tuple((crop.image, crop.mask) for crop in refinement.crops)
        fine = self.run(
            tiles, self.params.model_copy(update={"n": 1, "seed": seed}), noise_places(refinement)
        )
        return self._timed("encode", lambda: finish(self.retouch, fine.fills[0], self.params, refinement))

    def run(
        self,
        tiles: tuple[tuple[Array, Array], ...],
        params: Params,
        places: tuple[NoisePlace, ...] | None = None,
    ) -> Inpainting:
        """One pass of the engine; at `places` it is the second one."""
        table = None if places is None else refinement_table(self.engine.info, params)
        inpainting = run(self.engine, tiles, params, table=table, places=places, on_step=self._count_step)
        for stage, seconds in inpainting.stages.items():
            self.add_seconds(stage, seconds)
        return inpainting

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add to what a stage took."""
        self.stages[stage] = self.stages.get(stage, 0.0) + seconds

    def _timed(self, stage: str, call: Callable[[], Done]) -> Done:
        started = perf_counter()
        done = call()
        self.add_seconds(stage, perf_counter() - started)
        return done

    def _count_step(self, _done: int, _total: int, seconds: float) -> None:
        self.steps_done += 1
        if self.on_step is not None:
            self.on_step(self.steps_done, self._steps, seconds)

    @property
    def _steps(self) -> int:
        """Steps of all passes."""
        info = self.engine.info
        fine = len(refinement_table(info, self.params).rows) * self.params.n if self.retouch.refines else 0
        return len(sampling_table(info, self.params).rows) + fine
