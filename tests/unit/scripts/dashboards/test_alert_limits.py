"""The limits that panels take from the alert rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.dashboards import alert_limits

RULES = """
groups:
  - name: some
    rules:
      - {alert: Slow, expr: 'sum(rate(a[5m])) / b > 0.25 and c > 3'}
      - {alert: Gone, expr: 'absent(up)'}
  - name: others
    rules:
      - {alert: Full, expr: 'used > 60'}
"""
OBJECTIVE = "groups: [{rules: [%s]}]"
SLOW = """{record: %s, expr: 'inpaint_request_duration_seconds_bucket{mode="sync", le="%s"}'}"""


@pytest.fixture(autouse=True)
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(alert_limits, "RULES", tmp_path)
    alert_limits._expressions.cache_clear()
    (tmp_path / "alerts.yml").write_text(RULES)
    yield tmp_path
    alert_limits._expressions.cache_clear()


def test_the_first_number_that_a_rule_compares_with_is_the_limit() -> None:
    assert alert_limits.alert_limit("Slow") == 0.25
    assert alert_limits.alert_limit("Full") == 60


@pytest.mark.parametrize("name", ["Gone", "Unknown"])
def test_an_alert_without_a_number_or_a_rule_is_refused(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        alert_limits.alert_limit(name)


def test_the_objective_is_the_boundary_that_all_rules_count_from(rules: Path) -> None:
    (rules / "recording.yml").write_text(OBJECTIVE % ", ".join(SLOW % (name, "8.0") for name in "ab"))
    assert alert_limits.latency_objective() == 8


def test_two_objectives_are_refused(rules: Path) -> None:
    (rules / "recording.yml").write_text(OBJECTIVE % ", ".join([SLOW % ("a", "8.0"), SLOW % ("b", "5.0")]))
    with pytest.raises(KeyError, match=r"5.0, 8.0"):
        alert_limits.latency_objective()
