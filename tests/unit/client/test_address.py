"""Which addresses a client takes, and what it takes from its environment."""

from __future__ import annotations

import pytest

from moebius_client import InvalidInput
from moebius_client.address import address_of


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOEBIUS_SERVER", "MOEBIUS_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("server", "grpc", "encrypted"),
    [
        ("http://host:8080", False, False),
        ("https://host/moebius", False, True),
        ("grpc://host:50051", True, False),
        ("grpcs://[::1]:50051", True, True),
    ],
)
def test_the_scheme_says_how_a_service_is_spoken_to(server: str, grpc: bool, encrypted: bool) -> None:
    address = address_of(server, None, 60)
    assert (address.is_grpc, address.is_encrypted) == (grpc, encrypted)


@pytest.mark.parametrize(
    "server", ["localhost:8080", "host", "ftp://host", "http://", "grpc://host", "grpc://host:1/path"]
)
def test_what_is_no_address_says_what_is_one(server: str) -> None:
    with pytest.raises(InvalidInput, match="grpc://host:port"):
        address_of(server, None, 60)


def test_what_is_left_out_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert address_of(None, None, 60).url == "http://localhost:8080"
    assert address_of(None, None, 60).authorization is None
    monkeypatch.setenv("MOEBIUS_SERVER", "grpc://host:1")
    monkeypatch.setenv("MOEBIUS_KEY", "horse")
    assert address_of(None, None, 60).authority == "host:1"
    assert address_of(None, None, 60).authorization == "Bearer horse"
    assert address_of("http://other", "battery", 60).authorization == "Bearer battery"


def test_a_key_is_not_shown() -> None:
    assert "battery" not in repr(address_of("http://host", "battery", 60))
