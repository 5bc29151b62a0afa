"""A worker's own port."""

from __future__ import annotations

import socket

import httpx
import pytest

from service.worker.health import HealthServer


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
def test_readiness_is_asked_for_each_time(ready: bool, status: int) -> None:
    with HealthServer("127.0.0.1", 0, lambda: ready) as health:
        assert httpx.get(f"{health.url}/readyz").status_code == status


def test_a_live_process_that_is_not_ready_is_alive() -> None:
    with HealthServer("127.0.0.1", 0, lambda: False) as health:
        assert httpx.get(f"{health.url}/livez").status_code == 200


def test_a_process_whose_device_hangs_is_not_alive() -> None:
    with HealthServer("127.0.0.1", 0, lambda: False, lambda: False) as health:
        assert httpx.get(f"{health.url}/livez").status_code == 503


def test_the_metrics_are_those_of_a_worker() -> None:
    with HealthServer("127.0.0.1", 0, lambda: True) as health:
        page = httpx.get(f"{health.url}/metrics")
        assert page.headers["content-type"].startswith("text/plain")
        assert "inpaint_stage_duration_seconds" in page.text


def test_nothing_else_is_served() -> None:
    with HealthServer("127.0.0.1", 0, lambda: True) as health:
        assert httpx.get(f"{health.url}/").status_code == 404


def has_ipv6() -> bool:
    """Whether the machine's own IPv6 address can be listened on; a Python that knows IPv6 is not enough."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="NOT TESTED: this machine has no IPv6")
def test_it_listens_where_there_is_ipv6_alone() -> None:
    with HealthServer("::1", 0, lambda: True) as health:
        assert health.url.startswith("http://[::1]:")
        assert httpx.get(f"{health.url}/readyz").status_code == 200


def test_a_taken_port_is_an_error_at_the_start() -> None:
    with HealthServer("127.0.0.1", 0, lambda: True) as health, pytest.raises(OSError, match="in use"):
        HealthServer("127.0.0.1", int(health.url.rsplit(":", 1)[1]), lambda: True)
