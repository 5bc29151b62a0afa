"""Who calls over gRPC, from the names that gRPC gives its peers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from service.edge.auth import Authenticator
from service.edge.grpc_context import Context, client_name, seconds_left
from service.errors import JobExpired
from service.settings import Settings


@dataclass
class Call:
    """As much of a call's context as is asked."""

    address: str = "ipv4:192.0.2.1:1000"
    metadata: tuple[tuple[str, str], ...] = ()
    remaining: float | None = None

    def peer(self) -> str:
        return self.address

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self.metadata

    def time_remaining(self) -> float | None:
        return self.remaining

    def context(self) -> Context:
        return cast(Context, self)


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("ipv4:192.0.2.1:50000", "address:192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:50000", "address:2001:db8::1"),
        ("ipv6:[::1]:50000", "address:::1"),
        ("unix:/run/moebius.sock", "address:unknown"),
        ("", "address:unknown"),
    ],
)
def test_a_client_is_the_address_of_its_connection(peer: str, client: str) -> None:
    assert client_name(Authenticator(Settings()), Call(peer).context()) == client


def test_a_forwarded_address_counts_behind_a_trusted_proxy_only() -> None:
    call = Call(metadata=(("x-forwarded-for", "198.51.100.1"),)).context()
    trusting: Any = Settings(trusted_proxies=("192.0.2.0/24",))
    assert client_name(Authenticator(Settings()), call) == "address:192.0.2.1"
    assert client_name(Authenticator(trusting), call) == "address:198.51.100.1"


def test_seconds_left_are_those_of_the_call() -> None:
    assert seconds_left(Call().context()) is None
    assert seconds_left(Call(remaining=2.5).context()) == 2.5
    with pytest.raises(JobExpired, match="deadline"):
        seconds_left(Call(remaining=0).context())
