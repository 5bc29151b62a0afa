"""A preview brought to the size of the picture that it stands for."""

from __future__ import annotations

import io

from PIL import Image

from service.contracts import OutputFormat

LONGEST_SIDE = 2048  # pixels; a preview has 256, and a larger file would tell no more


def enlarged(preview: bytes, size: tuple[int, int], output_format: OutputFormat) -> bytes:
    """An encoded preview at `size` (width, height), or, where that is longer than LONGEST_SIDE, as large as that."""
    scale = min(1.0, LONGEST_SIDE / max(size))
    with Image.open(io.BytesIO(preview)) as small:
        large = small.resize(
            (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))), Image.Resampling.BICUBIC
        )
    buffer = io.BytesIO()
    large.save(buffer, output_format.value.upper())
    return buffer.getvalue()
