"""Stages are read from the header of an answer."""

from __future__ import annotations

from benchmarks.server_timing import stages_of


def test_stages_are_read_from_the_header() -> None:
    assert stages_of("queue;dur=1.5, vae_encode;dur=2.0") == {"queue": 1.5, "vae_encode": 2.0}
    assert stages_of("") == {}
