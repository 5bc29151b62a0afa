"""The command line: `moebius serve | edge | worker | inpaint | models`. Parses; the work is elsewhere.

Every command imports what it needs when it runs: an edge never loads an engine, and `--help` is quick.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from service.command import fail, read_settings, reported_errors
from service.exit_codes import EXIT_INTERRUPTED, EXIT_UNUSABLE, EXIT_USAGE
from service.inpaint_cli import inpaint
from service.models_cli import models_app

app = typer.Typer(
    help="Inpainting as a service: a photo and a mask in, the photo with the hole filled out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="HTTP port; 0 takes a free one.")]
RedisUrl = Annotated[str | None, typer.Option(help="The queue: Redis >= 7 or Valkey >= 8.")]
StateDir = Annotated[Path | None, typer.Option(help="Folder of the embedded queue's file.")]
ModelStore = Annotated[Path | None, typer.Option(help="Folder with one folder a model.")]
Model = Annotated[str | None, typer.Option(help="Model to load.")]
Backend = Annotated[str | None, typer.Option(help="auto, onnxruntime, torch or dummy.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[str | None, typer.Option(help="auto, fp32, fp16 or bf16.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads of the engine; 0: all cores.")]
MetricsPort = Annotated[int | None, typer.Option(help="Port of /metrics, /livez and /readyz.")]
DrainTimeout = Annotated[float | None, typer.Option(help="Seconds to finish running work at a stop.")]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error.")]
Supervisor = Annotated[int | None, typer.Option(hidden=True)]


app.command()(inpaint)
app.add_typer(models_app, name="models")


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    redis_url: RedisUrl = None,
    state_dir: StateDir = None,
    model_store: ModelStore = None,
    model: Model = None,
    backend: Backend = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    drain_timeout: DrainTimeout = None,
    log_level: LogLevel = None,
) -> None:
    """Start everything on this machine: the queue, one worker, and the HTTP edge."""
    settings = read_settings(locals())
    from service.serve import serve as run

    with reported_errors():
        stopped_by = run(settings, on_ready=lambda url: typer.echo(f"Moebius is ready at {url}"))
        _exit_as_told(stopped_by)


@app.command()
def edge(
    host: Host = None,
    port: Port = None,
    redis_url: RedisUrl = None,
    model: Model = None,
    drain_timeout: DrainTimeout = None,
    log_level: LogLevel = None,
) -> None:
    """Start an HTTP edge on a shared queue."""
    settings = read_settings(locals())
    if settings.redis_url is None:
        fail("An edge needs the queue's address: give --redis-url or MOEBIUS_REDIS_URL.", EXIT_USAGE)
    from service.edge.server import run_edge
    from service.json_logs import configure_logging

    configure_logging(settings.log_level)
    with reported_errors():
        on_ready = lambda url: typer.echo(f"Moebius edge listens at {url}")  # noqa: E731
        _exit_as_told(run_edge(settings, settings.redis_url, on_ready=on_ready))


@app.command()
def worker(
    host: Host = None,
    metrics_port: MetricsPort = None,
    redis_url: RedisUrl = None,
    model_store: ModelStore = None,
    model: Model = None,
    backend: Backend = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    drain_timeout: DrainTimeout = None,
    log_level: LogLevel = None,
    supervisor: Supervisor = None,
) -> None:
    """Start a worker: one process a device, on a shared queue."""
    settings = read_settings({k: v for k, v in locals().items() if k != "supervisor"})
    if settings.redis_url is None:
        fail("A worker needs the queue's address: give --redis-url or MOEBIUS_REDIS_URL.", EXIT_USAGE)
    from service.json_logs import configure_logging
    from service.worker.process import run_worker

    configure_logging(settings.log_level)
    with reported_errors(bad_model=EXIT_UNUSABLE):
        run_worker(settings, settings.redis_url, supervisor=supervisor)


def _exit_as_told(stopped_by: signal.Signals | None) -> None:
    """SIGTERM asks for an end and gets 0; Ctrl-C reports as in a shell."""
    if stopped_by == signal.SIGINT:
        raise typer.Exit(EXIT_INTERRUPTED)


def main() -> None:
    """Entry point of `moebius`."""
    app()


if __name__ == "__main__":
    main()
