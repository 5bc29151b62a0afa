"""Options made from the settings: their types, their help, and what is said of a wrong one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from service.cli import app
from service.command import read_settings, with_settings_options

RUNNER = CliRunner(env={"COLUMNS": "300", "TERM": "dumb"})


def given(*arguments: str) -> dict[str, Any]:
    """What a command with four of the options gets for some arguments."""
    got: dict[str, Any] = {}
    small = typer.Typer()

    @small.command()
    @with_settings_options("port", "state_dir", "drain_timeout", "devices")
    def command(**options: Any) -> None:
        got.update(options)

    finished = RUNNER.invoke(small, arguments)
    assert finished.exit_code == 0, finished.output
    return got


def test_an_option_has_the_type_of_its_setting() -> None:
    arguments = ["--port", "81", "--state-dir", "here", "--drain-timeout", "2.5", "--devices", "cpu,cuda:1"]
    assert given(*arguments) == {
        "port": 81,
        "state_dir": Path("here"),
        "drain_timeout": 2.5,
        "devices": "cpu,cuda:1",
    }


def test_an_option_that_is_left_out_leaves_the_environments_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOEBIUS_PORT", "82")
    assert read_settings(given()).port == 82
    assert read_settings(given("--port", "83")).port == 83


def test_help_tells_meaning_and_default() -> None:
    told = RUNNER.invoke(app, ["serve", "--help"]).output
    assert "cuda:0,cuda:1,cpu" in told
    assert "step: a request joins at the next denoising step" in told
    assert "8080" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "2", "--devices", "cpu"], "workers is 2, but devices names 1: cpu"),
        (["--devices", "cpu,gpu"], "devices is 'cpu,gpu': it must be auto, cpu, cuda or cuda:N"),
        (["--workers", "0"], "workers is 0"),
        (["--batching", "always"], "batching is 'always'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], words: str) -> None:
    finished = RUNNER.invoke(app, ["serve", *arguments])
    assert finished.exit_code == 2
    assert finished.stderr.count("\n") == 1
    assert words in finished.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEYS", '{"alice": "my-key-in-the-clear"}'),
        ("API_KEYS", '["my-key-in-the-clear"]'),
        ("OTLP_ENDPOINT", "ftp://alice:my-key-in-the-clear@collector"),
    ],
)
def test_a_wrong_value_that_may_be_secret_is_not_repeated(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MOEBIUS_{name}", value)
    finished = RUNNER.invoke(app, ["serve"])
    assert finished.exit_code == 2
    assert finished.stderr.startswith(f"moebius: {name.lower()} is wrong: ")
    assert "my-key" not in finished.stderr


@pytest.fixture
def ignored_signal() -> Iterator[None]:
    """SIGTERM as the first process of a container has it: nothing happens."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("ignored_signal")
@pytest.mark.parametrize(
    ("command", "still_loading"),
    [("edge", "service.edge.server.bind"), ("worker", "service.worker.process.open_engine")],
)
def test_what_is_told_to_stop_while_it_loads_ends_at_once_with_0(
    command: str, still_loading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_told(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it goes on")

    monkeypatch.setattr(still_loading, be_told)
    monkeypatch.setattr("service.json_logs.configure_logging", lambda _: None)
    finished = RUNNER.invoke(app, [command, "--redis-url", "redis://127.0.0.1:1/0"])
    assert finished.exit_code == 0, finished.output
