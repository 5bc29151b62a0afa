"""That what scales the workers asks for metrics that the service has, and what its numbers come to."""

from __future__ import annotations

import re

import pytest
from prometheus_client import Gauge

from service import metrics
from tests.deploy.chart import Document, environment, named, of_kind, rendered

METRIC = re.compile(r"\b(inpaint_\w+)\{([^}]*)\}")
LABEL = re.compile(r'(\w+)="([^"]*)"')
# Labels that the scrape adds: the namespace, and the pod's label that the PodMonitor hands on.
OF_THE_SCRAPE = {"namespace", "worker_group"}


def queries(documents: tuple[Document, ...]) -> dict[tuple[str, str], str]:
    """By group's Deployment and trigger."""
    return {
        (scaler["spec"]["scaleTargetRef"]["name"], trigger["name"]): trigger["metadata"]["query"]
        for scaler in of_kind(documents, "ScaledObject")
        for trigger in scaler["spec"]["triggers"]
    }


def thresholds(documents: tuple[Document, ...], trigger: str) -> dict[str, float]:
    return {
        scaler["spec"]["scaleTargetRef"]["name"]: float(found["metadata"]["threshold"])
        for scaler in of_kind(documents, "ScaledObject")
        for found in scaler["spec"]["triggers"]
        if found["name"] == trigger
    }


def labels_of_metrics() -> dict[str, set[str]]:
    """Labels by name, of the gauges that edges read from the queue and of the gauges of workers."""
    tables = vars(metrics).values()
    found = {gauge.name: set(gauge.labels) for gauge in tables if isinstance(gauge, metrics.QueueGauge)}
    for gauge in tables:
        if isinstance(gauge, Gauge):
            found[gauge._name] = set(gauge._labelnames)
    return found


def test_the_triggers_ask_for_metrics_and_labels_that_the_service_exports() -> None:
    known = labels_of_metrics()
    asked = [found for query in queries(rendered("fleet")).values() for found in METRIC.findall(query)]
    assert {name for name, _ in asked} >= {"inpaint_queue_ready_cost", "inpaint_places"}
    for name, matchers in asked:
        assert name in known, f"{name} is no metric of service/metrics.py"
        assert {label for label, _ in LABEL.findall(matchers)} - OF_THE_SCRAPE <= known[name], name


def test_a_group_asks_for_the_backlog_of_the_model_that_its_workers_load() -> None:
    documents = rendered("fleet")
    for (workload, trigger), query in queries(documents).items():
        asked = dict(LABEL.findall(query))
        assert asked["namespace"] == "inpaint"
        if trigger == "waiting":
            variables = environment(named(documents, "Deployment", workload), documents)
            assert asked["model"] == variables["MOEBIUS_MODEL"]
        else:
            labels = named(documents, "Deployment", workload)["spec"]["template"]["metadata"]["labels"]
            assert asked["worker_group"] == labels["worker-group"]


def test_the_taken_places_are_found_by_a_label_that_the_monitor_hands_on() -> None:
    (monitor,) = of_kind(rendered("fleet"), "PodMonitor")
    handed_on = {label.replace("-", "_") for label in monitor["spec"]["podTargetLabels"]}
    assert handed_on == OF_THE_SCRAPE - {"namespace"}


def wanted_workers(documents: tuple[Document, ...], waiting: float) -> dict[str, int]:
    """What the autoscaler makes of a model's waiting cost: its average a worker at most the threshold."""
    limits = thresholds(documents, "waiting")
    wanted = {}
    for (workload, trigger), query in queries(documents).items():
        if trigger == "waiting":
            part = float(query.split("*")[0])
            most = named(documents, "ScaledObject", workload)["spec"]["maxReplicaCount"]
            wanted[workload] = min(most, -int(-part * waiting // limits[workload]))
    return wanted


def test_groups_of_one_model_share_its_backlog_by_what_they_can_do() -> None:
    documents = rendered("fleet")
    # 40 workers of 100 and 20 of 800 evaluations a second, for 20 s of waiting: 400,000.
    assert wanted_workers(documents, 400_000) == {
        "moebius-worker-l4": 40,
        "moebius-worker-h100": 20,
        "moebius-worker-nano": 8,
    }
    half = wanted_workers(documents, 200_000)
    assert (half["moebius-worker-l4"], half["moebius-worker-h100"]) == (20, 10)


@pytest.mark.parametrize("waiting", [1.0, 42.0])
def test_any_waiting_job_wakes_a_group_from_zero(waiting: float) -> None:
    documents = rendered("fleet")
    scaler = named(documents, "ScaledObject", "moebius-worker-nano")
    assert scaler["spec"]["minReplicaCount"] == 0
    for trigger in scaler["spec"]["triggers"]:
        assert float(trigger["metadata"]["activationThreshold"]) == 0
    assert wanted_workers(documents, waiting)["moebius-worker-nano"] == 1


def test_a_group_beside_one_that_is_awake_sleeps_on_until_there_is_work_for_a_worker_of_it() -> None:
    def backlog_that_wakes(*settings: str) -> float:
        scaler = named(rendered("fleet", *settings), "ScaledObject", "moebius-worker-h100")
        waiting, running = (trigger["metadata"] for trigger in scaler["spec"]["triggers"])
        assert running["activationThreshold"] == "0"  # what works is not stopped
        return float(waiting["activationThreshold"]) / float(waiting["query"].split("*")[0])

    # One H100 does 800 evaluations a second, for 20 s, and the group gets 0.8 of the model's backlog.
    assert backlog_that_wakes() == 800 * 20 / 0.8
    assert backlog_that_wakes("workers.l4.scaling.min=0") == 0
    assert backlog_that_wakes("workers.l4.scaling.enabled=false", "workers.l4.replicas=0") == 0


def test_the_first_worker_of_a_group_that_sleeps_has_as_much_time_to_start_as_a_rollout() -> None:
    documents = rendered("fleet", "workers.nano.startSeconds=60")
    for scaler in of_kind(documents, "ScaledObject"):
        sleeps = scaler["spec"]["minReplicaCount"] == 0
        workload = named(documents, "Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        rollout = workload["spec"]["progressDeadlineSeconds"] if sleeps else None
        assert scaler["spec"].get("initialCooldownPeriod") == rollout
    nano = named(documents, "ScaledObject", "moebius-worker-nano")
    assert nano["spec"]["initialCooldownPeriod"] == 60 + 600


def test_no_answer_is_a_failure_after_which_there_are_as_many_workers_as_was_chosen() -> None:
    documents = rendered("fleet")
    chosen = {
        scaler["metadata"]["name"]: scaler["spec"].get("fallback")
        for scaler in of_kind(documents, "ScaledObject")
    }
    assert chosen == {
        "moebius-worker-l4": {"failureThreshold": 3, "replicas": 20},
        "moebius-worker-h100": {"failureThreshold": 3, "replicas": 5},
        "moebius-worker-nano": None,  # as many as there are
    }
    for scaler in of_kind(documents, "ScaledObject"):
        for trigger in scaler["spec"]["triggers"]:
            assert trigger["metricType"] == "AverageValue"  # the only one that a fallback works with
            assert trigger["metadata"]["ignoreNullValues"] == "false"


def test_a_worker_more_is_started_before_all_places_are_taken() -> None:
    documents = rendered("fleet")
    for workload, threshold in thresholds(documents, "running").items():
        places = environment(named(documents, "Deployment", workload), documents)["MOEBIUS_MAX_BATCH"]
        assert places is not None
        assert 0 < threshold <= float(places)
