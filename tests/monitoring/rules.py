"""The project's rules and their tests, read from deploy/prometheus."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CONFIGURATION = DEPLOY / "prometheus" / "prometheus.yml"
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
RULE_TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
RUNBOOK = DEPLOY / "runbook.md"
SUFFIX = re.compile(r"_(bucket|count|sum|total)$")


def groups() -> list[dict[str, Any]]:
    """All groups of all files."""
    return [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]


def rules(kind: str) -> list[dict[str, Any]]:
    """All rules of a kind: `alert` or `record`."""
    return [rule for group in groups() for rule in group["rules"] if kind in rule]


def alert_cases() -> list[dict[str, Any]]:
    """What the rule tests expect of an alert at a moment, all of them."""
    tests = (test for path in RULE_TESTS for test in yaml.safe_load(path.read_text())["tests"])
    return [case for test in tests for case in test["alert_rule_test"]]


def names_in(expression: str) -> set[str]:
    """The metrics of ours that an expression reads, recorded ones included."""
    return set(re.findall(r"\binpaint[_:][a-zA-Z0-9_:]*", expression))
