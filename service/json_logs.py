"""Logs as JSON lines on stderr: one object a record, with what `extra` gave it. Owns no metric."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from service.log_context import current_fields

_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "color_message", "taskName"}

# Libraries whose lines tell what ours do not: whole addresses, or what is written in a picture's metadata.
QUIETER = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "urllib3": logging.WARNING,
    "PIL": logging.INFO,
}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the request's or job's fields (log_context.py), what
    `extra` gave, and the traceback, if any.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Render `record`; values that JSON does not know are written as text."""
        entry: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update(current_fields())
        entry.update((k, v) for k, v in vars(record).items() if k not in _OWN_ATTRIBUTES)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)

    converter = staticmethod(time.gmtime)


def configure_logging(level: str) -> None:
    """Send every logger of the process to stderr as JSON lines, at `level` (debug, info, warning, error), and what
    Python warns of.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    for name, lowest in QUIETER.items():
        logging.getLogger(name).setLevel(max(lowest, root.level))
