"""Passwords and keys stay where they belong: not in logs, command lines, metrics or answers."""

from __future__ import annotations

import hashlib
import json

import httpx
import psutil
import pytest
import redis

from tests.e2e.serving import PATIENCE, Serving, serving, until
from tests.integration.edge.pictures import MASK, PHOTO
from tests.queue_server import QueueServer, running_server

PASSWORD = "9e3a-of-the-queue"  # made up, as the keys are
KEY = "51c7-of-alice"
WRONG_KEY = "77d0-of-nobody"
FILES = {"image": ("photo.png", PHOTO, "image/png"), "mask": ("mask.png", MASK, "image/png")}


def protect(server: QueueServer, administrator: redis.Redis) -> str:
    """Set the server's password; the address with it. Who is connected already stays so."""
    administrator.config_set("requirepass", PASSWORD)
    return server.url.replace("unix://", f"unix://:{PASSWORD}@", 1)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def shut_out(administrator: redis.Redis, url: str) -> None:
    """Let the service's password be wrong, from its next connections on."""
    administrator.config_set("requirepass", "another")
    administrator.client_kill_filter(_type="normal", skipme=True)
    until(lambda: httpx.get(f"{url}/readyz", timeout=PATIENCE).status_code == 503)


def used(service: Serving, url: str) -> str:
    """All that the service answers to the right key, to a wrong one and to none."""
    pages = [httpx.get(f"{url}{page}", headers=bearer(KEY)) for page in ("/v1/models", "/metrics", "/readyz")]
    filled = httpx.post(f"{url}/v1/inpaint", files=FILES, headers=bearer(KEY), timeout=PATIENCE)
    refused = httpx.post(f"{url}/v1/inpaint", files=FILES, headers=bearer(WRONG_KEY), timeout=PATIENCE)
    assert (filled.status_code, refused.status_code) == (200, 401), service.log.read_text()
    return "\n".join(f"{answer.headers}{answer.text}" for answer in [*pages, filled, refused])


@pytest.mark.slow
def test_no_password_and_no_key_is_logged_shown_in_ps_or_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    with running_server("valkey") as server, server.connect() as administrator:
        monkeypatch.setenv("MOEBIUS_REDIS_URL", protect(server, administrator))
        monkeypatch.setenv("MOEBIUS_API_KEYS", json.dumps({"alice": digest}))
        with serving("--log-level", "debug") as service:
            url = service.await_ready()
            answers = used(service, url)
            processes = [psutil.Process(service.process.pid), *service.children]
            command_lines = "\n".join(word for process in processes for word in process.cmdline())
            shut_out(administrator, url)
            service.process.terminate()
            service.end()
            seen = {"answers": answers, "ps": command_lines, "log": service.log.read_text()}
    assert "worker" in seen["ps"]
    assert '"status": 503' in seen["log"]  # the log of the failure is there, too
    told = [
        (where, secret)
        for where, text in seen.items()
        for secret in (PASSWORD, KEY, WRONG_KEY, digest)
        if secret in text
    ]
    assert told == []
