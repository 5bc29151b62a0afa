"""Who a client is: by its key, by its address, and by what trusted proxies say of it."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.edge.auth import Authenticator
from service.errors import Unauthenticated
from service.settings import Settings

ALICES, BOBS = "alices-key_1.~+/==", "bobs"
PEER = "203.0.113.7"
PROXY = "10.0.0.5"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


KEYED = Authenticator(Settings(api_keys={"alice": digest(ALICES), "bob": digest(BOBS)}))
OPEN = Authenticator(Settings())
BEHIND = Authenticator(Settings(trusted_proxies=("10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1")))


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (f"Bearer {ALICES}", "key:alice"),
        (f"bearer {ALICES}", "key:alice"),
        (f"  BEARER   {BOBS} ", "key:bob"),
    ],
)
def test_a_key_names_its_client_whatever_the_address(header: str, client: str) -> None:
    assert KEYED.client_of(header, PEER, None) == client
    assert KEYED.client_of(header, "", "1.2.3.4") == client


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        ALICES,
        f"Basic {ALICES}",
        f"Bearer {ALICES}x",
        f"Bearer {ALICES[:-1]}",
        f"Bearer {ALICES},{BOBS}",
        f"Bearer {digest(ALICES)}",
        "Bearer schlüssel",
        "Bearer \ud800",
        "Bearer " + "x" * 100_000,
    ],
)
def test_without_a_known_key_nobody_is_served(header: str | None) -> None:
    with pytest.raises(Unauthenticated, match="API key") as refusal:
        KEYED.client_of(header, PEER, None)
    assert len(refusal.value.detail) < 200
    assert ALICES not in refusal.value.detail


def test_where_no_keys_are_configured_a_client_is_its_address() -> None:
    assert not OPEN.needs_key
    assert KEYED.needs_key
    assert OPEN.client_of("Bearer anything", PEER, None) == f"address:{PEER}"


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("::ffff:203.0.113.7", PEER),
        ("::FFFF:CB00:7107", PEER),
        ("2001:0DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("203.0.113.7:443", PEER),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("", "unknown"),
        ("/run/moebius.sock", "unknown"),
    ],
)
def test_one_address_has_one_name(peer: str, address: str) -> None:
    assert OPEN.client_of(None, peer, None) == f"address:{address}"


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param(PEER, "1.2.3.4", PEER, id="not from a trusted proxy"),
        pytest.param(PROXY, "1.2.3.4", "1.2.3.4", id="from a trusted proxy"),
        pytest.param(PROXY, "9.9.9.9, 1.2.3.4", "1.2.3.4", id="what the client made up is to the left"),
        pytest.param(PROXY, "9.9.9.9, 1.2.3.4, 10.1.1.1,10.0.0.9", "1.2.3.4", id="a chain of proxies"),
        pytest.param("::ffff:10.0.0.5", "1.2.3.4", "1.2.3.4", id="a proxy by its mapped address"),
        pytest.param(PROXY, "::ffff:1.2.3.4", "1.2.3.4", id="a client by its mapped address"),
        pytest.param(PROXY, "1.2.3.4:5678", "1.2.3.4", id="with a port"),
        pytest.param(PROXY, "[2001:db8::7]:5678", "2001:db8::7", id="IPv6 with a port"),
        pytest.param("2001:db8:1::2", "2001:DB8::7", "2001:db8::7", id="IPv6"),
        pytest.param(PROXY, "10.0.0.8, 10.0.0.9", "10.0.0.8", id="nobody but proxies"),
        pytest.param(PROXY, None, PROXY, id="nothing forwarded"),
        pytest.param(PROXY, "", PROXY, id="empty"),
        pytest.param(PROXY, "unknown", PROXY, id="unknown"),
        pytest.param(PROXY, "1.2.3.4, nonsense", PROXY, id="nonsense"),
        pytest.param(PROXY, "1.2.3.4, nonsense, 10.0.0.9", "10.0.0.9", id="nonsense behind a proxy"),
        pytest.param(PROXY, "1.2.3.4,", PROXY, id="an empty entry"),
        pytest.param(PROXY, "010.1.2.3", PROXY, id="octal"),
        pytest.param(PROXY, "1.2.3.4:99999999", PROXY, id="no port"),
        pytest.param(PROXY, ", " * 30_000, PROXY, id="very long"),
    ],
)
def test_a_forwarded_address_is_believed_only_as_far_as_proxies_are_trusted(
    peer: str, forwarded: str | None, address: str
) -> None:
    assert BEHIND.client_of(None, peer, forwarded) == f"address:{address}"


@hypothesis_settings(deadline=None, max_examples=200)
@given(st.text(), st.text(), st.text())
def test_nothing_that_is_sent_breaks_it(authorization: str, peer: str, forwarded: str) -> None:
    assert BEHIND.client_of(authorization, peer, forwarded).startswith("address:")
    assert BEHIND.client_of(authorization, PROXY, forwarded).startswith("address:")
