"""`moebius-ready edge | worker`: whether the one on this machine is ready, as an exit status for containers.

Asked every few seconds, so the standard library alone: `moebius` takes six times as long to start. Owns the question;
what ready means is the asked one's affair.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from http.client import HTTPConnection, HTTPException

# The edge's own question to the queue takes that long where the queue does not answer.
PATIENCE = 8.0  # seconds
DEFAULT_HOST = "127.0.0.1"
# Where each listens, and unless told otherwise: as in settings.py.
PORTS = {"edge": ("MOEBIUS_PORT", 8080), "worker": ("MOEBIUS_METRICS_PORT", 9100)}
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # nosec B104  # noqa: S104 - told to listen there; asked here


def main() -> None:
    """Exit with 0 where /readyz answers 200, otherwise with 1 and the reason on stderr."""
    parser = argparse.ArgumentParser(
        description="Exit status 0 if the edge or the worker here is ready, else 1."
    )
    parser.add_argument("part", choices=PORTS, help="which of the two runs here")
    part = parser.parse_args().part
    reason = unreadiness(part)
    if reason is not None:
        sys.exit(f"moebius-ready: {reason}")


def unreadiness(part: str) -> str | None:
    """Why the part is not ready; None if it is. Raises KeyError for another part."""
    name, default = PORTS[part]
    host = os.environ.get("MOEBIUS_HOST", DEFAULT_HOST)
    host, port = EVERY_ADDRESS.get(host, host), os.environ.get(name, default)
    connection = HTTPConnection(host, int(port), timeout=PATIENCE)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        return f"No {part} answers at port {port} of {host}: {error}."
    finally:
        connection.close()
    return None if answer.status == 200 else f"The {part} is not ready: {_detail(body)}"


def _detail(body: str) -> str:
    """What a problem document explains; another answer as it is."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    return str(document.get("detail", body)) if isinstance(document, dict) else body


if __name__ == "__main__":
    main()
