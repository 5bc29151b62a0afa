"""The contender: a LitServe server of the same dummy engine and the same picture coding as ours.

Runs in an environment of its own (overhead.py makes it), with this checkout on its path.
`python litserve_server.py PORT WORKERS`

No postponed annotations here: LitServe takes that of `decode_request` to tell JSON from form fields.
"""

import base64
import sys
from time import perf_counter
from typing import Any, cast

import litserve  # type: ignore[import-not-found, unused-ignore]
from fastapi import Request, Response

from service.contracts import Params
from service.engine.dummy import DummyEngine
from service.engine.inpaint import run
from service.imaging.retouch import finish, prepare
from service.settings import Settings

SETTINGS = Settings(backend="dummy")


class Inpainting(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """Decodes as our worker does, runs the same engine, encodes as our worker does."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe names it
        """Load the engine that does nothing."""
        self.engine = DummyEngine(SETTINGS)

    def decode_request(self, request: Request) -> tuple[Any, Params, float]:
        """JSON with base64, as our edge takes it; LitServe has parsed it."""
        started = perf_counter()
        fields = cast(dict[str, Any], request)
        image, mask = (base64.b64decode(fields.pop(name)) for name in ("image", "mask"))
        params = Params.model_validate(fields)
        size = self.engine.info.image_size
        retouch = prepare(image, mask, params, model_size=size, max_pixels=SETTINGS.max_pixels)
        return retouch, params, perf_counter() - started

    def predict(self, x: tuple[Any, Params, float]) -> tuple[Any, Params, Any, float]:
        """All steps of one request."""
        started = perf_counter()
        retouch, params, decoding = x
        fills = run(self.engine, retouch.tiles, params).fills
        return retouch, params, fills, decoding + perf_counter() - started

    def encode_response(self, output: tuple[Any, Params, Any, float]) -> Response:
        """The picture, and the seconds of coding and engine as our edge tells them."""
        started = perf_counter()
        retouch, params, fills, seconds = output
        picture = finish(retouch, fills[0], params)
        seconds += perf_counter() - started
        timing = {"Server-Timing": f"coding;dur={seconds * 1000:.3f}"}
        return Response(picture.data, media_type=picture.content_type, headers=timing)


if __name__ == "__main__":
    server = litserve.LitServer(
        Inpainting(), accelerator="cpu", workers_per_device=int(sys.argv[2]), timeout=60
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="error", generate_client_file=False)
