"""That what the chart tells the processes are settings that they take, and that no secret is in its text."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import pytest

from service.settings import Settings
from tests.deploy.chart import (
    CHART,
    Document,
    container,
    environment,
    named,
    of_kind,
    pod_spec,
    rendered,
    run_helm,
    texts,
)
from tests.deploy.test_chart_validity import NEWEST, OLDEST

SECRETS = {
    "MOEBIUS_REDIS_URL": "redis://:secret@redis:6379/0",
    "MOEBIUS_API_KEYS": json.dumps({"alice": "0" * 64}),
}
FROM_THE_POD = {"MOEBIUS_THREADS": "4"}
# Given by other values of the chart, by Secrets, or for `moebius serve` alone.
NO_SETTINGS_OF_THE_CHART = {
    *("port", "grpc_port", "metrics_port", "redis_url", "api_keys", "drain_timeout"),
    *("model", "model_store", "backend", "device", "precision", "threads", "cores", "max_batch", "cache_dir"),
    *("sleeping_models", "models", "workers", "devices", "state_dir", "embedded_memory"),
}
DESCRIBED = ("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "items")


def settings_of(
    monkeypatch: pytest.MonkeyPatch, deployment: Document, documents: tuple[Document, ...]
) -> Settings:
    """What the container's process reads from its environment, secrets put in."""
    with monkeypatch.context() as patched:
        for name, value in environment(deployment, documents).items():
            patched.setenv(name, value if value is not None else {**SECRETS, **FROM_THE_POD}[name])
        return Settings()


def test_every_variable_of_ours_is_a_setting(documents: tuple[Document, ...]) -> None:
    known = {f"MOEBIUS_{name}".upper() for name in Settings.model_fields}
    for deployment in of_kind(documents, "Deployment"):
        told = {name for name in environment(deployment, documents) if name.startswith("MOEBIUS_")}
        assert told <= known, deployment["metadata"]["name"]


def test_the_processes_take_their_settings(
    monkeypatch: pytest.MonkeyPatch, documents: tuple[Document, ...]
) -> None:
    for deployment in of_kind(documents, "Deployment"):
        settings = settings_of(monkeypatch, deployment, documents)
        assert settings.host == "0.0.0.0"
        assert settings.redis_url == SECRETS["MOEBIUS_REDIS_URL"]
        opened = {port["containerPort"] for port in container(deployment)["ports"]}
        edge = deployment["metadata"]["name"] == "moebius-edge"
        assert opened == ({settings.port, settings.grpc_port} if edge else {settings.metrics_port})


def test_settings_arrive_as_they_were_written(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = rendered("fleet")
    edge = settings_of(monkeypatch, named(documents, "Deployment", "moebius-edge"), documents)
    assert edge.max_queued_bytes == 68_719_476_736
    assert edge.queue_shards == 4
    assert edge.trusted_proxies == ("10.0.0.0/8",)
    assert edge.api_keys == {"alice": "0" * 64}
    worker = settings_of(monkeypatch, named(documents, "Deployment", "moebius-worker-h100"), documents)
    assert (worker.model, worker.device, worker.precision) == ("moebius-places2", "cuda:0", "fp16")
    assert (worker.max_batch, str(worker.model_store), worker.threads) == (64, "/models", 4)


def test_edges_and_workers_share_the_number_of_shards_and_the_queue(documents: tuple[Document, ...]) -> None:
    deployments = of_kind(documents, "Deployment")
    shards = {environment(workload, documents).get("MOEBIUS_QUEUE_SHARDS") for workload in deployments}
    queues = {
        str(entry["valueFrom"])
        for workload in deployments
        for entry in container(workload)["env"]
        if entry["name"] == "MOEBIUS_REDIS_URL"
    }
    assert len(shards) == len(queues) == 1


def test_kubernetes_adds_no_variables_that_look_like_settings(documents: tuple[Document, ...]) -> None:
    for deployment in of_kind(documents, "Deployment"):
        assert pod_spec(deployment)["enableServiceLinks"] is False


def test_the_default_model_is_one_that_workers_load(documents: tuple[Document, ...]) -> None:
    edge = environment(named(documents, "Deployment", "moebius-edge"), documents)["MOEBIUS_MODEL"]
    loaded = {
        environment(workload, documents)["MOEBIUS_MODEL"] for workload in of_kind(documents, "Deployment")
    }
    assert edge in loaded


def test_edges_take_requests_for_a_model_that_sleeps_and_for_no_other_without_worker() -> None:
    def sleeping(*settings: str) -> str | None:
        documents = rendered("fleet", *settings)
        edge = environment(named(documents, "Deployment", "moebius-edge"), documents)
        return edge.get("MOEBIUS_SLEEPING_MODELS")

    assert sleeping() == "moebius-nano-4step"
    assert sleeping("workers.l4.scaling.min=0") == "moebius-nano-4step,moebius-places2"
    assert sleeping("workers.nano.scaling.min=1") is None
    unscaled = "workers.l4.scaling.enabled=false"
    assert sleeping(unscaled) == "moebius-nano-4step"
    assert sleeping(unscaled, "workers.l4.replicas=0") == "moebius-nano-4step,moebius-places2"


def test_the_schema_offers_every_setting_that_the_chart_does_not_give_itself() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    fields: dict[str, dict[str, Any]] = Settings.model_json_schema()["properties"]
    expected = {
        name: {key: field[key] for key in DESCRIBED if key in field}
        for name, field in fields.items()
        if name not in NO_SETTINGS_OF_THE_CHART
    }
    offered = schema["properties"]["settings"]["properties"]
    assert offered == expected, "in values.schema.json, settings.properties should be " + json.dumps(expected)


def test_edges_and_workers_find_the_files_that_the_address_of_the_queue_names() -> None:
    documents = rendered("fleet", 'redis.tlsSecret="redis-tls"')
    for deployment in of_kind(documents, "Deployment"):
        (mount,) = (one for one in container(deployment)["volumeMounts"] if "redis" in one["mountPath"])
        assert mount["mountPath"] == "/etc/moebius/redis"
        volumes = {volume["name"]: volume for volume in pod_spec(deployment)["volumes"]}
        assert volumes[mount["name"]]["secret"] == {"secretName": "redis-tls"}
        for version in OLDEST, NEWEST:
            kubernetes_validate.validate(deployment, version, strict=True)


def test_no_secret_is_in_the_chart_or_made_by_it(documents: tuple[Document, ...]) -> None:
    assert not of_kind(documents, "Secret")
    for document in documents:
        for text in texts(document):
            assert "redis://" not in text
            assert "rediss://" not in text
    secret = {"MOEBIUS_REDIS_URL", "MOEBIUS_API_KEYS", "REDISCLI_AUTH"}
    for workload in [*of_kind(documents, "Deployment"), *of_kind(documents, "StatefulSet")]:
        entries = {entry["name"]: entry for entry in container(workload)["env"]}
        for name in secret & set(entries):
            assert set(entries[name]["valueFrom"]) == {"secretKeyRef"}


def test_the_readme_makes_every_secret_that_pods_wait_for(documents: tuple[Document, ...]) -> None:
    commands = (CHART / "README.md").read_text("utf-8").replace("\\\n", "").splitlines()
    needed = [
        entry["valueFrom"]["secretKeyRef"]
        for workload in [*of_kind(documents, "Deployment"), *of_kind(documents, "StatefulSet")]
        for entry in container(workload)["env"]
        if "secretKeyRef" in entry.get("valueFrom", {})
    ]
    assert needed
    for secret in needed:
        made = [line for line in commands if f"create secret generic {secret['name']} " in line]
        assert any(f"--from-literal={secret['key']}=" in line for line in made), secret


@pytest.mark.parametrize("setting", ["redis_url", "api_keys"])
def test_a_secret_among_the_settings_is_refused(setting: str) -> None:
    answer = run_helm("template", "moebius", str(CHART), "--set", f"settings.{setting}=x")
    assert answer.returncode != 0
    assert setting in answer.stderr
