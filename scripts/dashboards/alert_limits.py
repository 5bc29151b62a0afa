"""The numbers at which Prometheus' rules raise an alarm: a panel's limit is read from them, so that both agree."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "rules"
ABOVE = re.compile(r"> (?P<limit>\d+(\.\d+)?)\b")
OBJECTIVE = re.compile(r'inpaint_request_duration_seconds_bucket{mode="sync", le="(?P<seconds>[\d.]+)"}')


def alert_limit(alert: str) -> float:
    """The value above which the alert is raised: the first comparison of its rule. Raises KeyError without one."""
    found = ABOVE.search(_expressions("alerts.yml", "alert")[alert])
    if found is None:
        raise KeyError(f"{alert} compares with no number")
    return float(found["limit"])


def latency_objective() -> float:
    """Seconds within which 99 % of the synchronous requests shall be answered."""
    expressions = "\n".join(_expressions("recording.yml", "record").values())
    seconds = {float(found["seconds"]) for found in OBJECTIVE.finditer(expressions)}
    if len(seconds) != 1:
        raise KeyError(f"the recording rules have not one objective, but {sorted(seconds)}")
    return seconds.pop()


@cache
def _expressions(file: str, kind: str) -> dict[str, str]:
    """The expression of each rule of a kind, by its name."""
    groups = yaml.safe_load((RULES / file).read_text("utf-8"))["groups"]
    return {rule[kind]: rule["expr"] for group in groups for rule in group["rules"] if kind in rule}
