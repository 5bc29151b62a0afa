"""One request from its encoded picture to the encoded answers: decode, the engine's loop, compose, encode.

Shared by the worker's loop and the command line. Knows no queue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from service.contracts import Params, Result
from service.engine.base import Engine
from service.engine.inpaint import StepCallback, run
from service.imaging.retouch import finish, prepare


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks on: `on_step(done, total, items, seconds)` after a step; `stop()` ends the run before one."""

    on_step: Callable[[int, int, int, float], None] | None = None
    stop: Callable[[], bool] | None = None


UNWATCHED = Watch()


def fill_picture(
    engine: Engine, image: bytes, mask: bytes, params: Params, *, max_pixels: int, watch: Watch = UNWATCHED
) -> Result:
    """Fill the hole of an encoded picture, once a candidate. `params.seed` must be known.

    Raises the `InvalidPicture` errors of imaging, `InvalidParameter` for a run of no steps, and
    `JobCancelled` when `watch.stop()` says so.
    """
    started = perf_counter()
    retouch = prepare(image, mask, params, model_size=engine.info.image_size, max_pixels=max_pixels)
    decoded_at = perf_counter()
    items = len(retouch.tiles) * params.n
    inpainting = run(engine, retouch.tiles, params, on_step=_counting(watch, items), stop=watch.stop)
    filled_at = perf_counter()
    encoded = [finish(retouch, fills, params) for fills in inpainting.fills]
    stages = {"decode": decoded_at - started, **inpainting.stages, "encode": perf_counter() - filled_at}
    return Result(
        pictures=tuple(picture.data for picture in encoded),
        content_type=encoded[0].content_type,
        seeds=inpainting.seeds,
        model=engine.info.model,
        boxes=retouch.boxes,
        stages=stages,
        notes=encoded[0].notes,
    )


def _counting(watch: Watch, items: int) -> StepCallback | None:
    on_step = watch.on_step
    if on_step is None:
        return None
    return lambda done, total, seconds: on_step(done, total, items, seconds)
