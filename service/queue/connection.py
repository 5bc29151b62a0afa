"""Connections to the queue's server, and the one place where its errors become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import OutOfMemoryError, RedisError
from redis.retry import Retry

from service import telemetry
from service.errors import QueueFull, QueueUnavailable

CONNECT_TIMEOUT = 2.0  # seconds; a server on the same network answers in milliseconds or not at all
REPLY_TIMEOUT = 5.0  # seconds; longer than an fsync on a slow disk or a 30 MB payload on a slow link
RETRIES = 3  # bridges a restart of the server; every script may be sent twice
MOST_CONNECTIONS = 64  # of an edge; who finds all taken waits for one, for as long as a reply may take
INVALID_ADDRESS = (
    "The queue's address is not valid. Set MOEBIUS_REDIS_URL or --redis-url to redis://:password@host:6379/0, "
    "rediss:// with TLS, or unix:///path; write special characters of the password as %23 for # and the like."
)
BACKOFF = ExponentialWithJitterBackoff(cap=0.5, base=0.05)


def connect(url: str) -> redis.Redis:
    """A client for workers; connects when first used. Raises QueueUnavailable for a malformed address."""
    with _address_errors():
        return redis.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=REPLY_TIMEOUT,
            retry=Retry(BACKOFF, RETRIES),
        )


def connect_async(url: str) -> redis.asyncio.Redis:
    """A client for edges; connects when first used. Raises QueueUnavailable for a malformed address."""
    with _address_errors():
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=MOST_CONNECTIONS,
            timeout=REPLY_TIMEOUT,
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=REPLY_TIMEOUT,
            retry=AsyncRetry(BACKOFF, RETRIES),
        )
        return redis.asyncio.Redis.from_pool(pool)


def risks_of(connection: redis.Redis) -> tuple[str, ...]:
    """How the server is set up so that it may lose acknowledged jobs; empty if it is not. Raises RedisError."""
    info = connection.info()
    risks = []
    if info.get("maxmemory_policy", "noeviction") != "noeviction":
        risks.append(f"it evicts keys ({info['maxmemory_policy']}); set maxmemory-policy noeviction")
    if not info.get("aof_enabled"):
        risks.append("it has no append-only file; set appendonly yes and appendfsync always")
    return tuple(risks)


@contextmanager
def queue_errors(op: str) -> Iterator[None]:
    """Raise QueueFull or QueueUnavailable for whatever goes wrong between us and the server during `op`."""
    try:
        yield
    except OutOfMemoryError as error:
        telemetry.count_redis_error(op)
        detail = "The queue's server has no memory left for more jobs. Try again when some have finished."
        raise QueueFull(detail, retry_after=5) from error
    except (RedisError, OSError) as error:
        telemetry.count_redis_error(op)
        detail = "The queue's server does not answer as it should. Try again in a moment."
        raise QueueUnavailable(detail, retry_after=2) from error


@contextmanager
def _address_errors() -> Iterator[None]:
    try:
        yield
    except ValueError:
        # Without its words: they may quote the part of a password that was taken for a port.
        raise QueueUnavailable(INVALID_ADDRESS) from None
