"""`moebius ready`: whether the edge or the worker of this machine is ready, as an exit status for whoever starts
containers. Owns the question alone; what ready means is the asked one's affair.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Annotated, Literal

import typer

from service.command import fail, read_settings
from service.exit_codes import EXIT_ERROR
from service.settings import Settings

PATIENCE = 4.0  # seconds; the edge's own question to the queue may take two
EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


def ready(
    part: Annotated[Literal["edge", "worker"], typer.Argument(help="Which of the two runs here.")],
) -> None:
    """Ask the edge or the worker of this machine whether it is ready: exit status 0, or 1 and the reason."""
    host, port = _address(part, read_settings({}))
    try:
        status, body = _ask(host, port)
    except (OSError, HTTPException) as error:
        fail(f"No {part} answers at port {port} of {host}: {error}.", EXIT_ERROR)
    if status != 200:
        fail(f"The {part} is not ready: {body}", EXIT_ERROR)
    typer.echo(f"The {part} is ready.")


def _address(part: Literal["edge", "worker"], settings: Settings) -> tuple[str, int]:
    """Where it listens by these settings, seen from this machine."""
    port = settings.port if part == "edge" else settings.metrics_port
    return EVERY_ADDRESS.get(settings.host, settings.host), port


def _ask(host: str, port: int) -> tuple[int, str]:
    """Status and reason of /readyz. Raises OSError or HTTPException where nobody answers."""
    connection = HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, _reason(answer.read().decode(errors="replace"))
    finally:
        connection.close()


def _reason(body: str) -> str:
    """The detail of a problem document, or what was answered instead."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    return str(document.get("detail", body)) if isinstance(document, dict) else body
