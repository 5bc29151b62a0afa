"""Who a client is: the name of its API key, or else the address that it calls from.

Knows no HTTP and no gRPC: strings in, a name out. Jobs are readable, and places are shared fairly, by that name.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from service.errors import Unauthenticated
from service.settings import Settings

BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)  # RFC 6750, section 2.1
WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5}")
UNKNOWN_ADDRESS = "unknown"

Address = IPv4Address | IPv6Address


class Authenticator:
    """Names clients by the settings' API keys and trusted proxies."""

    def __init__(self, settings: Settings) -> None:
        self._keys = tuple((name, digest.encode()) for name, digest in settings.api_keys.items())
        self._proxies = tuple(ip_network(network) for network in settings.trusted_proxies)

    @property
    def needs_key(self) -> bool:
        """Whether only clients with an API key are served."""
        return bool(self._keys)

    def client_of(self, authorization: str | None, peer: str, forwarded: str | None) -> str:
        """`key:NAME` where keys are configured, else `address:ADDRESS`.

        `authorization` and `forwarded` are the values of Authorization and X-Forwarded-For (several fields
        joined by commas), `peer` is the address of the connection. Raises Unauthenticated.
        """
        if self._keys:
            return f"key:{self._owner(authorization)}"
        return f"address:{self._address(peer, forwarded or '')}"

    def trusts(self, peer: str) -> bool:
        """Whether what a connection from this address forwards is believed."""
        address = _parsed(peer)
        return address is not None and self._is_trusted(address)

    def _owner(self, authorization: str | None) -> str:
        if authorization is None:
            raise Unauthenticated("An API key is needed. Send it as Authorization: Bearer KEY.")
        match = BEARER.fullmatch(authorization.strip())
        if match is None:
            raise Unauthenticated("Authorization holds no API key. Send it as Authorization: Bearer KEY.")
        digest = hashlib.sha256(match[1].encode("ascii")).hexdigest().encode("ascii")
        # All are compared, each in constant time: how long it takes tells nothing about any of them.
        owners = [name for name, known in self._keys if hmac.compare_digest(known, digest)]
        if not owners:
            raise Unauthenticated("The API key is not known here. Check it, or ask the operator for one.")
        return owners[0]

    def _address(self, peer: str, forwarded: str) -> str:
        """Each proxy adds to the right whom it was called by: read from there as far as proxies are trusted.

        What can't be read ends the search at the proxy that sent it: what stands to its left is anybody's.
        """
        nearest = _parsed(peer)
        if nearest is None:
            return UNKNOWN_ADDRESS
        for hop in reversed(forwarded.split(",")):
            if not self._is_trusted(nearest):
                break
            address = _parsed(hop)
            if address is None:
                break
            nearest = address
        return str(nearest)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)


def _parsed(text: str) -> Address | None:
    """An address, bare or with a port; one of IPv4 that is written as IPv6 becomes itself again (RFC 4291,
    section 2.5.5.2), and a zone, which only its own host understands, is dropped.
    """
    text = text.strip()
    match = WITH_PORT.fullmatch(text)
    bare = (match[1] or match[2] or "") if match else text
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
