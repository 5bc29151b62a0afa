"""`moebius keys new`: the key that is shown is the one whose digest lets its client in."""

from __future__ import annotations

import json
import shlex

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.edge.auth import Authenticator
from service.settings import Settings


@pytest.fixture(autouse=True)
def no_clients_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOEBIUS_API_KEYS", raising=False)


def new_key(name: str) -> Result:
    return CliRunner().invoke(app, ["keys", "new", name])


def read(result: Result) -> tuple[str, dict[str, str]]:
    """The key, and the clients of the line for the environment, as a shell reads it."""
    assert result.exit_code == 0, result.output
    key, setting = result.stdout.splitlines()
    ((name, value),) = [word.split("=", 1) for word in shlex.split(setting)]
    assert name == "MOEBIUS_API_KEYS"
    return key.rpartition(" ")[2], json.loads(value)


def test_the_printed_key_is_that_of_the_printed_digest() -> None:
    key, clients = read(new_key("alice"))
    assert list(clients) == ["alice"]
    assert key not in json.dumps(clients)
    edge = Authenticator(Settings(api_keys=clients))
    assert edge.client_of(f"Bearer {key}", "192.0.2.1", None) == "key:alice"


def test_two_keys_are_never_the_same() -> None:
    assert read(new_key("alice"))[0] != read(new_key("alice"))[0]


def test_the_clients_that_are_there_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    _, clients = read(new_key("alice"))
    monkeypatch.setenv("MOEBIUS_API_KEYS", json.dumps(clients))
    _, more = read(new_key("bob's phone"))
    assert list(more) == ["alice", "bob's phone"]
    assert more["alice"] == clients["alice"]


@pytest.mark.parametrize("name", ["", "alice"])
def test_a_client_needs_a_name_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOEBIUS_API_KEYS", json.dumps({"alice": "0" * 64}))
    refused = new_key(name)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "taken: alice" in refused.stderr


def test_clients_that_are_no_json_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOEBIUS_API_KEYS", "alice")
    refused = new_key("bob")
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert "api_keys" in refused.stderr
    assert "must be JSON" in refused.stderr
