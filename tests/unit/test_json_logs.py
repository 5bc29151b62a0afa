"""The JSON logs: one line a record."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from service.json_logs import JsonFormatter


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


def test_a_traceback_stays_in_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        line = JsonFormatter().format(record("failed", exc_info=sys.exc_info()))
    assert "\n" not in line
    assert "ValueError: broken" in json.loads(line)["exception"]
