"""The questions that scale the workers on Kubernetes, against a live Prometheus: each has one number for an answer."""

from __future__ import annotations

import re

from tests.deploy.chart import rendered
from tests.deploy.test_chart_scaling import queries
from tests.monitoring.prometheus_server import LivePrometheus
from tests.monitoring.stack import UNATTENDED

# What a scrape inside a cluster adds, and this Prometheus has not.
OF_THE_CLUSTER = re.compile(r'(namespace|worker_group)="[^"]*"(, )?')


def query(trigger: str) -> str:
    """Of a group that loads the model of which a job waits and no worker is left."""
    expression = queries(rendered("fleet"))["moebius-worker-l4", trigger]
    assert trigger != "waiting" or f'model="{UNATTENDED}"' in expression
    return OF_THE_CLUSTER.sub("", expression)


def numbers(live_prometheus: LivePrometheus, expression: str) -> list[float]:
    return [float(series["value"][1]) for series in live_prometheus.query(expression)]


def test_a_model_whose_workers_are_gone_has_a_backlog_that_wakes_one(live_prometheus: LivePrometheus) -> None:
    (waiting,) = numbers(live_prometheus, query("waiting"))
    assert waiting > 0


def test_a_model_that_nobody_asked_for_has_a_backlog_of_0(live_prometheus: LivePrometheus) -> None:
    assert numbers(live_prometheus, query("waiting").replace(UNATTENDED, "never-seen")) == [0]


def test_without_edges_or_their_queue_there_is_no_answer(live_prometheus: LivePrometheus) -> None:
    assert numbers(live_prometheus, query("waiting").replace("inpaint_queue_", "nobody_tells_")) == []


def test_the_taken_places_are_a_number_also_where_no_worker_is(live_prometheus: LivePrometheus) -> None:
    (taken,) = numbers(live_prometheus, query("running"))
    assert taken >= 0
    assert numbers(live_prometheus, query("running").replace("inpaint_places", "nobody_tells_places")) == [0]
