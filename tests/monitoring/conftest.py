"""One monitored service for all tests of the rules and the dashboards: real processes, real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from time import time

import pytest

from tests.monitoring.prometheus_server import LivePrometheus, binary, running_prometheus
from tests.monitoring.stack import running_stack
from tests.monitoring.traffic import Traffic


@pytest.fixture(scope="session")
def live_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePrometheus]:
    """A Prometheus that has watched a service at work and in trouble: `.url` and `.query(expression)`.

    It has seen two waves of requests with every end, so that rates are above 0; between them an outage of the
    queue, a worker killed, one asleep past its lease, a dead letter. A job of a model without worker waits still.
    """
    binary("prometheus")
    with (
        running_stack(tmp_path_factory.mktemp("stack")) as stack,
        running_prometheus(tmp_path_factory.mktemp("prometheus"), stack.targets) as prometheus,
        closing(Traffic(stack)) as traffic,
    ):
        traffic.lose_the_queue_for_a_moment()
        traffic.wave()
        prometheus.await_scrape()
        traffic.lose_a_job()
        prometheus.await_scrape()  # the worker that counted the dead letter may be the one that is killed
        traffic.lose_workers_at_work()
        prometheus.await_scrape()
        traffic.wave()
        prometheus.await_scrape()
        prometheus.seen_at = time()
        yield prometheus
