"""One picture with no queue: decode, the engine's loop over this request alone, compose, encode.

The command line's way; a worker takes the same steps with many requests at a time (loop.py).
"""

from __future__ import annotations

from time import perf_counter

from service.contracts import Params, Result
from service.engine.base import Engine
from service.engine.inpaint import StepCallback, run
from service.imaging.retouch import finish, prepare


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

    Raises the `InvalidPicture` errors of imaging, and `InvalidParameter` for a run of no steps.
    """
    started = perf_counter()
    retouch = prepare(image, mask, params, model_size=engine.info.image_size, max_pixels=max_pixels)
    decoded_at = perf_counter()
    inpainting = run(engine, retouch.tiles, params, on_step=on_step)
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
