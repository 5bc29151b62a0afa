"""Work in an edge's threads is still part of its request."""

from __future__ import annotations

from service.edge.threads import in_thread
from service.log_context import current_fields, log_fields, note


async def test_what_a_thread_logs_carries_the_fields_of_the_request() -> None:
    with log_fields(peer="192.0.2.1"):
        note(job="s0-1")
        assert await in_thread(current_fields) == {"peer": "192.0.2.1", "job": "s0-1"}
