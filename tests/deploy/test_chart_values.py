"""That wrong values are refused with a word about what is wrong, and that all right ones are described."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CHART, of_kind, rendered, run_helm


def refusal(*settings: str) -> str:
    """What Helm says where it must not render."""
    overrides = [argument for setting in settings for argument in ("--set-json", setting)]
    answer = run_helm("template", "moebius", str(CHART), *overrides)
    assert answer.returncode != 0, f"{settings} was taken"
    return answer.stderr


@pytest.mark.parametrize(
    ("setting", "place", "complaint"),
    [
        ("edgee={}", "", "'edgee' not allowed"),
        ('workers.cpu.modle="moebius-nano"', "/workers/cpu", "'modle' not allowed"),
        ("settings.lease_seconds=3", "/settings", "'lease_seconds' not allowed"),
        ("redis.url=\"redis://x\"", "/redis", "'url' not allowed"),
        ('edge.replicas="two"', "/edge/replicas", "got string, want integer"),
        ('settings.result_ttl="1h"', "/settings/result_ttl", "got string, want number"),
        ("settings.queue_shards=0", "/settings/queue_shards", "minimum"),
        ('workers.cpu.precision="fp8"', "/workers/cpu/precision", "must be one of"),
        ('workers.cpu.device="gpu0"', "/workers/cpu/device", "does not match pattern"),
        ('workers.CPU={"replicas": 1}', "", "'CPU' does not match pattern"),
        ('workers.cpu.extraEnv=[{"name": "MOEBIUS_PORT", "value": "1"}]', "/workers/cpu/extraEnv/0/name", "not"),
        ('edge.temporaryStorage="512ki"', "/edge/temporaryStorage", "does not match pattern"),
        ('edge.disruptionBudget={"maxUnavailable": null}', "/edge/disruptionBudget", "minProperties"),
        ('image.digests.edge="latest"', "/image/digests/edge", "does not match pattern"),
    ],
)  # fmt: skip
def test_an_unknown_key_or_a_wrong_value_is_refused(setting: str, place: str, complaint: str) -> None:
    said = refusal(setting)
    assert f"'{place}'" in said
    assert complaint in said


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        (('defaultModel="other"',), "Set defaultModel or a group's model"),
        (("workers.cpu.enabled=false",), "no enabled group of workers loads"),
        (('workers.cpu.scaling={"enabled": true, "min": 5, "max": 4}',), "Lower min or raise max"),
        (("edge.autoscaling.min=20",), "Lower min or raise max"),
    ],
)
def test_values_that_contradict_each_other_are_refused_with_advice(
    settings: tuple[str, ...], advice: str
) -> None:
    assert advice in refusal(*settings)


def test_a_group_overrides_the_defaults_with_false_and_nothing_too() -> None:
    defaults = (
        'workerDefaults={"scaling": {"enabled": true, "min": 3}, "tolerations": [{"operator": "Exists"}]}'
    )
    group = 'workers.b={"scaling": {"enabled": false}, "replicas": 0, "tolerations": []}'
    documents = rendered(None, defaults, group, 'workers.c={"scaling": {"min": 0}}')
    scalers = {scaler["metadata"]["name"]: scaler["spec"] for scaler in of_kind(documents, "ScaledObject")}
    assert set(scalers) == {"moebius-worker-cpu", "moebius-worker-c"}
    assert scalers["moebius-worker-cpu"]["minReplicaCount"] == 3
    assert scalers["moebius-worker-c"]["minReplicaCount"] == 0
    (b,) = (d for d in of_kind(documents, "Deployment") if d["metadata"]["name"] == "moebius-worker-b")
    assert b["spec"]["replicas"] == 0
    assert "tolerations" not in b["spec"]["template"]["spec"]


def test_the_values_file_offers_every_key_of_the_schema() -> None:
    schema: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    missing = {name for name in schema["properties"] if name not in values} - {"global"}
    group = set(schema["definitions"]["group"]["properties"]) - set(values["workerDefaults"])
    scaling = schema["definitions"]["group"]["properties"]["scaling"]["properties"]
    assert not missing
    assert not group
    assert set(scaling) == set(values["workerDefaults"]["scaling"])
