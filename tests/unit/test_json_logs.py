"""The JSON logs: one line a record."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from service.json_logs import JsonFormatter
from service.log_context import log_fields


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "service.edge", "levelname": "INFO", "msg": message, **extra})
    made.created, made.msecs = 0.0, 42.0
    return made


def test_a_log_record_is_one_line_of_json() -> None:
    line = JsonFormatter().format(record("two\nlines", route="/v1/inpaint", path=Path("a")))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.042Z",
        "level": "info",
        "logger": "service.edge",
        "message": "two\nlines",
        "route": "/v1/inpaint",
        "path": "a",
    }


def test_a_line_carries_what_is_known_of_its_request_and_its_own_words_come_first() -> None:
    with log_fields(job="s0-1", peer="192.0.2.1"):
        entry = json.loads(JsonFormatter().format(record("request", job="s0-2")))
    assert (entry["job"], entry["peer"]) == ("s0-2", "192.0.2.1")


def test_a_traceback_stays_in_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        line = JsonFormatter().format(record("failed", exc_info=sys.exc_info()))
    assert "\n" not in line
    assert "ValueError: broken" in json.loads(line)["exception"]
