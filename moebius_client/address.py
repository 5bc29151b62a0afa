"""Where a service is: an address to the transport that reaches it, imported when it is needed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import urlsplit

from moebius_client.errors import InvalidInput
from moebius_client.transport import AsyncTransport, Transport

DEFAULT_SERVER = "http://localhost:8080"
HTTP = frozenset({"http", "https"})
GRPC = frozenset({"grpc", "grpcs"})


@dataclass(frozen=True, slots=True)
class Address:
    """A service's `url`, the key that it wants, and the seconds of silence after which it counts as lost."""

    url: str
    api_key: str | None = field(repr=False)
    network_timeout: float

    @property
    def is_grpc(self) -> bool:
        """Whether it speaks gRPC; else HTTP."""
        return urlsplit(self.url).scheme in GRPC

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is TLS."""
        return urlsplit(self.url).scheme in ("https", "grpcs")

    @property
    def authority(self) -> str:
        """host:port."""
        return urlsplit(self.url).netloc

    @property
    def authorization(self) -> str | None:
        """The value of the field Authorization (RFC 6750)."""
        return None if self.api_key is None else f"Bearer {self.api_key}"


def address_of(server: str | None, api_key: str | None, network_timeout: float) -> Address:
    """The address; what is None is read from MOEBIUS_SERVER and MOEBIUS_KEY. Raises `InvalidInput`."""
    url = server or os.environ.get("MOEBIUS_SERVER") or DEFAULT_SERVER
    parts = urlsplit(url)
    if parts.scheme not in HTTP | GRPC or not parts.hostname:
        raise InvalidInput(
            f"The server's address is {url!r}. Give http://host:port or https://host, or for gRPC grpc://host:port or "
            "grpcs://host:port."
        )
    if parts.scheme in GRPC and (parts.port is None or parts.path.strip("/")):
        raise InvalidInput(
            f"The server's address is {url!r}, but over gRPC it is grpc://host:port and no more."
        )
    return Address(url, api_key or os.environ.get("MOEBIUS_KEY") or None, network_timeout)


def open_transport(address: Address) -> Transport:
    """Connects at the first call. Raises `InvalidInput` where a package is missing."""
    if address.is_grpc:
        from moebius_client.grpc_transport import GrpcTransport

        return GrpcTransport(address)
    _require_httpx()
    from moebius_client.http_transport import HttpTransport

    return HttpTransport(address)


def open_async_transport(address: Address) -> AsyncTransport:
    """Connects at the first call. Raises `InvalidInput` where a package is missing."""
    if address.is_grpc:
        from moebius_client.async_grpc_transport import AsyncGrpcTransport

        return AsyncGrpcTransport(address)
    _require_httpx()
    from moebius_client.async_http_transport import AsyncHttpTransport

    return AsyncHttpTransport(address)


def _require_httpx() -> None:
    missing = [name for name in ("httpx", "httpx_sse") if find_spec(name) is None]
    if missing:
        raise InvalidInput(f"HTTP needs {' and '.join(missing)}: pip install 'moebius[client]'.")
