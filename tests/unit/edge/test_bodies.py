"""JSON bodies take little more memory than they have bytes, whatever stands in them."""

from __future__ import annotations

import base64
import tracemalloc

import pytest

from service.edge.bodies import read_json_body
from service.errors import InvalidRequest, MissingPart

SIZE = 3_000_000
PICTURE = b"\x89PNG and what follows"


def peak_of_refusal(body: bytes, error: type[InvalidRequest]) -> int:
    """Bytes that are taken beside `body` until it is refused with `error`."""
    tracemalloc.start()
    try:
        with pytest.raises(error):
            read_json_body(body)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("crowd", [b"[],", b'{"a":0},', b"0,", b"[[0],0],"])
def test_a_crowd_of_values_is_refused_before_it_is_made(crowd: bytes) -> None:
    body = b'{"image":[' + crowd * (SIZE // len(crowd)) + b"0]}"
    assert peak_of_refusal(body, InvalidRequest) < 2 * SIZE


def test_white_space_in_base64_is_left_out_without_cutting_it_in_pieces() -> None:
    assert peak_of_refusal(b'{"image":"' + b"AA " * (SIZE // 3) + b'"}', MissingPart) < 6 * SIZE


def test_base64_may_have_line_breaks() -> None:
    lines = base64.encodebytes(PICTURE * 10).decode().replace("\n", "\\r\\n")
    body = f'{{"image":"{lines}","mask":"data:image/png;base64,{lines}"}}'
    read = read_json_body(body.encode())
    assert (read.image, read.mask) == (PICTURE * 10, PICTURE * 10)
