"""That the chart's objects fit together: selectors, ports, targets, times, and what pods may do."""

from __future__ import annotations

import tarfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from service.edge.app import create_app
from service.edge.server import LAST_WORDS
from service.queue.client import QueueClient
from service.settings import Settings
from tests.deploy.chart import (
    CHART,
    ROOT,
    VALUE_SETS,
    VALUES,
    Document,
    by_name,
    chosen,
    container,
    matches,
    named,
    of_kind,
    pod_labels,
    pod_spec,
    ports,
    rendered,
    run_helm,
    workloads,
)

LAST_ANSWERS = 2 * LAST_WORDS  # seconds that an edge or a worker may take after its drain, and as many again

Documents = tuple[Document, ...]


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_helm_finds_nothing_to_say_about_the_chart(value_set: str) -> None:
    answer = run_helm("lint", "--strict", str(CHART), "--values", str(VALUES / f"{value_set}.yaml"))
    assert answer.returncode == 0, answer.stdout
    assert "WARNING" not in answer.stdout


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


def test_every_workload_selects_its_own_pods_and_no_others(documents: Documents) -> None:
    for workload in workloads(documents):
        assert chosen(workload["spec"]["selector"], documents) == [workload]


def test_two_releases_in_one_namespace_do_not_select_each_others_pods() -> None:
    ours, theirs = rendered("fleet"), rendered("fleet", release="other")
    for document in ours:
        selector = document["spec"].get("selector") if "spec" in document else None
        if isinstance(selector, dict):
            labels = selector if document["kind"] == "Service" else selector["matchLabels"]
            assert not any(labels.items() <= pod_labels(other).items() for other in workloads(theirs))


def test_every_service_leads_to_a_port_that_its_pods_open(documents: Documents) -> None:
    for service in of_kind(documents, "Service"):
        (workload,) = chosen({"matchLabels": service["spec"]["selector"]}, documents)
        for port in service["spec"]["ports"]:
            assert port["port"] == ports(workload)[port["targetPort"]]


def test_every_ingress_leads_to_a_port_of_a_service() -> None:
    documents = rendered("fleet")
    assert len(of_kind(documents, "Ingress")) == 2
    for ingress in of_kind(documents, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                service = named(documents, "Service", backend["name"])
                assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}


def test_the_ingress_lets_through_what_clients_need_and_nothing_for_operators() -> None:
    ingress = named(rendered("fleet"), "Ingress", "moebius-http")
    paths = ingress["spec"]["rules"][0]["http"]["paths"]

    def passes(route: str) -> bool:
        prefixes = [path["path"] for path in paths if path["pathType"] == "Prefix"]
        exact = [path["path"] for path in paths if path["pathType"] == "Exact"]
        return route in exact or any(route == prefix or route.startswith(f"{prefix}/") for prefix in prefixes)

    app = create_app(Settings(), QueueClient("redis://localhost:1", Settings()))
    for route in app.routes:
        path = getattr(route, "path", "/")
        assert passes(path) == (path not in {"/metrics", "/livez", "/readyz"}), path


def test_the_ingresses_wait_as_long_as_a_synchronous_request_may_take() -> None:
    nginx = "nginx.ingress.kubernetes.io/proxy-read-timeout"  # of HTTP and gRPC alike
    waits = [
        float(ingress["metadata"]["annotations"][nginx])
        for value_set in VALUE_SETS
        for ingress in of_kind(rendered(value_set), "Ingress")
    ]
    assert len(waits) == 3
    assert min(waits) > Settings().sync_timeout


def test_a_packaged_chart_holds_the_rules_and_the_dashboards(tmp_path: Path) -> None:
    assert run_helm("package", str(CHART), "--destination", str(tmp_path)).returncode == 0
    (package,) = tmp_path.glob("moebius-*.tgz")
    with tarfile.open(package) as archive:
        held = {Path(name).name for name in archive.getnames() if name.startswith("moebius/files/")}
    linked = {path.name for path in (CHART / "files").rglob("*.*") if path.is_file()}
    for folder in ("prometheus/rules", "grafana/dashboards"):
        linked |= {path.name for path in (ROOT / "deploy" / folder).iterdir()}
    assert held == linked


def test_probes_ask_ports_that_are_open(documents: Documents) -> None:
    for workload in workloads(documents):
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container(workload)[kind]
            if "httpGet" in probe:
                assert probe["httpGet"]["port"] in ports(workload)
            else:
                assert probe["exec"]["command"]


def test_liveness_does_not_depend_on_the_queue(documents: Documents) -> None:
    for deployment in of_kind(documents, "Deployment"):
        assert container(deployment)["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert container(deployment)["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_monitors_find_pods_and_ports() -> None:
    documents = rendered("fleet")
    (of_edges,) = of_kind(documents, "ServiceMonitor")
    (service,) = (
        service
        for service in of_kind(documents, "Service")
        if matches(of_edges["spec"]["selector"], service["metadata"]["labels"])
    )
    offered = {port["name"] for port in service["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in of_edges["spec"]["endpoints"]} <= offered

    (of_workers,) = of_kind(documents, "PodMonitor")
    found = chosen(of_workers["spec"]["selector"], documents)
    assert {workload["metadata"]["name"] for workload in found} == {
        f"moebius-worker-{group}" for group in ("h100", "l4", "nano")
    }
    for workload in found:
        assert {endpoint["port"] for endpoint in of_workers["spec"]["podMetricsEndpoints"]} <= set(
            ports(workload)
        )
        assert set(of_workers["spec"]["podTargetLabels"]) <= set(pod_labels(workload))


def scaled(documents: Sequence[Document]) -> dict[str, list[Document]]:
    """What scales a workload, by the workload's name; each target must exist."""
    found: dict[str, list[Document]] = {}
    for scaler in [*of_kind(documents, "HorizontalPodAutoscaler"), *of_kind(documents, "ScaledObject")]:
        target = scaler["spec"]["scaleTargetRef"]
        workload = named(documents, target["kind"], target["name"])
        assert workload["apiVersion"] == target["apiVersion"]
        found.setdefault(target["name"], []).append(scaler)
    return found


def test_what_is_scaled_has_one_scaler_and_no_number_of_its_own(documents: Documents) -> None:
    scalers = scaled(documents)
    for workload in workloads(documents):
        of_it = scalers.get(workload["metadata"]["name"], [])
        assert len(of_it) + ("replicas" in workload["spec"]) == 1, workload["metadata"]["name"]


def test_every_workload_but_the_trial_redis_survives_drained_nodes(documents: Documents) -> None:
    deployments = of_kind(documents, "Deployment")
    budgets = of_kind(documents, "PodDisruptionBudget")
    # The same selector: one by version, say, would let go of the old pods during an upgrade.
    assert [budget["spec"]["selector"] for budget in budgets] == [
        by_name(deployments, "Deployment")[budget["metadata"]["name"]]["spec"]["selector"]
        for budget in budgets
    ]
    assert len(budgets) == len(deployments)


def test_pods_have_time_to_drain_after_they_have_left_the_service(documents: Documents) -> None:
    for deployment in of_kind(documents, "Deployment"):
        entries = {entry["name"]: entry.get("value") for entry in container(deployment)["env"]}
        drain = float(entries["MOEBIUS_DRAIN_TIMEOUT"])
        stop = container(deployment).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
        before = float(stop[1]) if stop else 0.0
        allowed = pod_spec(deployment)["terminationGracePeriodSeconds"]
        assert allowed >= before + drain + LAST_ANSWERS
        assert (before > 0) == deployment["metadata"]["name"].endswith("-edge")


def test_a_longer_drain_makes_a_longer_grace_period() -> None:
    documents = rendered(None, "edge.drainSeconds=120", "workers.cpu.drainSeconds=600")
    edge = named(documents, "Deployment", "moebius-edge")
    worker = named(documents, "Deployment", "moebius-worker-cpu")
    assert pod_spec(edge)["terminationGracePeriodSeconds"] == 5 + 120 + 15
    assert pod_spec(worker)["terminationGracePeriodSeconds"] == 600 + 15


def test_pods_are_confined_as_the_restricted_standard_asks(documents: Documents) -> None:
    for workload in workloads(documents):
        pod, own = pod_spec(workload)["securityContext"], container(workload)["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["runAsUser"] == 10001
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert pod_spec(workload)["automountServiceAccountToken"] is False
        assert "/tmp" in {mount["mountPath"] for mount in container(workload)["volumeMounts"]}


def test_every_mount_has_its_volume(documents: Documents) -> None:
    for workload in workloads(documents):
        claims = workload["spec"].get("volumeClaimTemplates", [])
        volumes = {volume["name"] for volume in pod_spec(workload)["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in claims}
        assert {mount["name"] for mount in container(workload)["volumeMounts"]} == volumes


def test_gpu_groups_ask_for_a_gpu_and_cpu_groups_for_none(documents: Documents) -> None:
    for name, deployment in by_name(documents, "Deployment").items():
        on_gpu = "moebius-worker-gpu" in container(deployment)["image"]
        limits = container(deployment)["resources"]["limits"]
        assert (limits.get("nvidia.com/gpu") == 1) == on_gpu, name


def test_network_policies_open_the_ports_of_their_pods_and_no_others() -> None:
    documents = rendered("fleet", 'redis.trial={"enabled": true}')
    for policy in of_kind(documents, "NetworkPolicy"):
        found = chosen(policy["spec"]["podSelector"], documents)
        opened = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert found
        for workload in found:
            assert opened == set(ports(workload)), policy["metadata"]["name"]
    assert len(of_kind(documents, "NetworkPolicy")) == 3


def test_workers_are_reached_by_prometheus_alone_and_reach_the_queue_names_and_the_collector() -> None:
    policy = named(rendered("fleet"), "NetworkPolicy", "moebius-worker")["spec"]
    (source,) = policy["ingress"][0]["from"]
    assert source["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    reached = [{port["port"] for port in rule["ports"]} for rule in policy["egress"]]
    assert reached == [{53}, {6379}, {4318}]
    assert all("to" in rule for rule in policy["egress"])


def test_a_changed_setting_makes_new_pods() -> None:
    def annotations(*settings: str) -> Document:
        pods = named(rendered(None, *settings), "Deployment", "moebius-edge")["spec"]["template"]
        return dict(pods["metadata"]["annotations"])

    assert annotations() != annotations('settings.log_level="debug"')


def test_an_image_is_pinned_by_its_digest_where_one_is_given() -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    documents = rendered("one-gpu", f'image.digests={{"worker-gpu": "{digest}"}}')
    images = {
        name: container(workload)["image"] for name, workload in by_name(documents, "Deployment").items()
    }
    registry = "registry.example.com/inpainting"
    assert images == {
        "moebius-edge": f"{registry}/moebius-edge:0.1.0",
        "moebius-worker-cpu": f"{registry}/moebius-worker-cpu:0.1.0",
        "moebius-worker-gpu": f"{registry}/moebius-worker-gpu@{digest}",
    }


def test_the_rules_and_dashboards_are_those_of_the_other_folders() -> None:
    documents = rendered("fleet")
    rules = {
        rule["metadata"]["name"]: rule["spec"]["groups"] for rule in of_kind(documents, "PrometheusRule")
    }
    assert rules == {
        f"moebius-{path.stem}": yaml.safe_load(path.read_text("utf-8"))["groups"]
        for path in (ROOT / "deploy" / "prometheus" / "rules").glob("*.yml")
    }
    dashboards = {
        name: text
        for document in of_kind(documents, "ConfigMap")
        if document["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, text in document["data"].items()
    }
    folder = ROOT / "deploy" / "grafana" / "dashboards"
    assert dashboards == {path.name: path.read_text("utf-8") for path in folder.glob("*.json")}
    assert rules
    assert dashboards
