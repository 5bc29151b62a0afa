"""`moebius keys`: bearer keys of clients. A key is shown once; only its digest is ever kept."""

from __future__ import annotations

import hashlib
import json
import secrets
import shlex
from typing import Annotated

import typer

from service.command import fail, read_settings
from service.exit_codes import EXIT_USAGE

KEY_BYTES = 32

keys_app = typer.Typer(help="Make bearer keys for clients.", no_args_is_help=True)


@keys_app.callback()
def keys() -> None:
    """Make bearer keys for clients."""


@keys_app.command()
def new(name: Annotated[str, typer.Argument(help="The client's name.", metavar="NAME")]) -> None:
    """Print a new key for a client, once, and what MOEBIUS_API_KEYS must hold for it to count.

    Clients that MOEBIUS_API_KEYS names already stay in it.
    """
    known = read_settings({}).api_keys
    if not name or name in known:
        fail(f"The client needs a name of its own; taken: {', '.join(known) or 'none'}.", EXIT_USAGE)
    key = secrets.token_urlsafe(KEY_BYTES)
    digest = hashlib.sha256(key.encode("ascii")).hexdigest()
    typer.echo(f"Key, shown only now: {key}")
    clients = json.dumps({**known, name: digest}, ensure_ascii=False)
    typer.echo(f"MOEBIUS_API_KEYS={shlex.quote(clients)}")
