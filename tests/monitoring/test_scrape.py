"""What the service tells, as a real Prometheus reads it."""

from __future__ import annotations

from tests.monitoring.prometheus_server import LivePrometheus


def test_every_target_is_scraped_but_the_killed_worker(live_prometheus: LivePrometheus) -> None:
    up = live_prometheus.query("sum by (job) (up)")
    assert {series["metric"]["job"]: series["value"][1] for series in up} == {
        "edge": "1",
        "worker": "2",
        "prometheus": "1",
    }
