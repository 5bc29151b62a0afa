"""The server's own time is all but engine and coding, as the answer's Server-Timing tells them."""

from __future__ import annotations

import base64
import json

import pytest

from benchmarks.overhead import Answered, edge_coding_milliseconds, request_body
from benchmarks.pictures import gradient_and_hole


def test_waiting_in_the_queue_is_the_server_s_own_and_the_other_stages_are_not() -> None:
    answered = Answered(20.0, {"queue": 3.0, "decode": 5.0, "denoise": 2.0, "encode": 1.0})
    assert answered.coding == pytest.approx(8.0)


def test_a_request_carries_both_pictures_in_base64() -> None:
    image, mask = gradient_and_hole(64)
    body = json.loads(request_body(image, mask))
    assert base64.b64decode(body["image"]) == image
    assert base64.b64decode(body["mask"]) == mask
    assert body["steps"] == 1


def test_the_edge_s_own_coding_can_be_timed() -> None:
    assert edge_coding_milliseconds(*gradient_and_hole(64)) > 0
