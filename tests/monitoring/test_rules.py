"""The rules: correct, tested both ways, explained, and about metrics that the service has."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from service import metrics
from service.metrics import QueueGauge
from tests.monitoring.prometheus_server import LivePrometheus, binary
from tests.monitoring.rules import (
    CONFIGURATION,
    DEPLOY,
    RULE_TESTS,
    RULES,
    RUNBOOK,
    SUFFIX,
    alert_cases,
    groups,
    names_in,
    rules,
)

ALERTS = [rule["alert"] for rule in rules("alert")]
RECORDED = [rule["record"] for rule in rules("record")]
PARTS_OF_A_CHAPTER = ("**Meaning**", "**Users see**", "**First look", "**Do**")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([binary("promtool"), *map(str, arguments)], capture_output=True, text=True)


def metric_names() -> set[str]:
    """As the service exports them, without the parts of histograms and the suffix of counters."""
    tables = [*vars(metrics).values(), metrics.worker_ready(), metrics.last_step_timestamp()]
    wrapped = {entry._name for entry in tables if isinstance(entry, MetricWrapperBase)}
    return wrapped | {entry.name for entry in tables if isinstance(entry, QueueGauge)}


def chapters() -> dict[str, str]:
    parts = re.split(r"^## (\w+)$", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def unknown(names: Iterable[str]) -> set[str]:
    known = metric_names()
    return {name for name in names if name not in known and SUFFIX.sub("", name) not in known}


def test_promtool_finds_no_fault_in_configuration_and_rules() -> None:
    for checked in (promtool("check", "config", CONFIGURATION), promtool("check", "rules", *RULES)):
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(path: Path) -> None:
    tested = promtool("test", "rules", path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_tested_firing_and_silent(alert: str) -> None:
    fires = [bool(case["exp_alerts"]) for case in alert_cases() if case["alertname"] == alert]
    assert True in fires
    assert False in fires


def test_no_rule_test_is_about_an_alert_that_is_not_there() -> None:
    assert {case["alertname"] for case in alert_cases()} == set(ALERTS)


@pytest.mark.parametrize("alert", rules("alert"), ids=lambda rule: rule["alert"])
def test_each_alert_says_what_it_is_how_urgent_and_where_to_read_on(alert: dict[str, dict[str, str]]) -> None:
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    path, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert DEPLOY.parent / path == RUNBOOK
    assert anchor == str(alert["alert"]).lower()


def test_the_runbook_has_a_chapter_for_each_alert_in_their_order_and_no_other() -> None:
    assert [*chapters()] == ALERTS


@pytest.mark.parametrize("alert", ALERTS)
def test_a_chapter_says_the_meaning_the_harm_the_first_look_and_the_deed(alert: str) -> None:
    text = chapters()[alert]
    for part in PARTS_OF_A_CHAPTER:
        assert part in text or (part == "**Do**" and "and do**" in text), f"{part} is missing"


def test_rules_read_metrics_that_the_service_has_and_sums_that_are_recorded() -> None:
    read = set().union(*(names_in(rule["expr"]) for kind in ("alert", "record") for rule in rules(kind)))
    assert {name for name in read if ":" in name} <= set(RECORDED)
    assert unknown(name for name in read if ":" not in name) == set()


def test_the_runbook_names_no_metric_that_is_not_there() -> None:
    named = names_in(RUNBOOK.read_text())
    assert {name for name in named if ":" in name} <= set(RECORDED)
    assert unknown(name for name in named if ":" not in name) == set()


def test_the_page_on_monitoring_silences_alerts_that_are_there() -> None:
    page = (DEPLOY.parent / "docs" / "monitoring.md").read_text()
    named = set(re.findall(r"\bInpaint[A-Z]\w+", page))
    assert named
    assert named <= set(ALERTS)


def test_every_sum_that_is_recorded_is_read_by_an_alert_or_the_runbook() -> None:
    read = names_in(RUNBOOK.read_text()).union(*(names_in(rule["expr"]) for rule in rules("alert")))
    assert set(RECORDED) <= read


def test_names_of_groups_and_rules_are_taken_once() -> None:
    for names in ([group["name"] for group in groups()], ALERTS, RECORDED):
        assert sorted(set(names)) == sorted(names)


def test_prometheus_evaluates_every_rule_without_a_fault(live_prometheus: LivePrometheus) -> None:
    loaded = live_prometheus.rules("alert") + live_prometheus.rules("record")
    assert {rule["name"] for rule in loaded} == {*ALERTS, *RECORDED}
    assert {rule["name"]: rule.get("lastError", "") for rule in loaded if rule["health"] != "ok"} == {}


@pytest.mark.parametrize("record", RECORDED)
def test_each_sum_has_a_value_from_a_service_at_work(live_prometheus: LivePrometheus, record: str) -> None:
    values = [float(series["value"][1]) for series in live_prometheus.query(record)]
    assert values
    assert all(value >= 0 for value in values)


@pytest.mark.parametrize(
    ("alert", "labels"),
    [
        ("InpaintTargetDown", {"job": "worker"}),
        ("InpaintNoWorkers", {"model": "moebius-places2"}),
        ("InpaintDeadLetters", {}),
        ("InpaintLeasesLost", {}),
    ],
)
def test_alerts_fire_for_real_faults(
    live_prometheus: LivePrometheus, alert: str, labels: dict[str, str]
) -> None:
    """A killed worker, a job that nobody takes, one that was given up, a worker that slept past its lease."""
    (series,) = live_prometheus.until(f'ALERTS{{alertname="{alert}", alertstate="firing"}}')
    assert labels.items() <= series["metric"].items()


@pytest.mark.parametrize("alert", ["InpaintEdgesDown", "InpaintNoWorkerReady", "InpaintQueueUnreachable"])
def test_alerts_are_silent_where_nothing_is_wrong(live_prometheus: LivePrometheus, alert: str) -> None:
    assert live_prometheus.query(f'ALERTS{{alertname="{alert}", alertstate="firing"}}') == []


def test_what_an_alert_says_is_filled_in(live_prometheus: LivePrometheus) -> None:
    alerts = [alert for rule in live_prometheus.rules("alert") for alert in rule["alerts"]]
    assert alerts
    for alert in alerts:
        assert "error" not in str(alert["annotations"]).lower(), alert
        assert "{{" not in str(alert["annotations"])
