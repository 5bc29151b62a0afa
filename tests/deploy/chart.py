"""Renders the chart with the real Helm, once for each set of values, and finds objects in what comes out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "moebius"
VALUES = ROOT / "deploy" / "helm" / "values"
VALUE_SETS = ("laptop", "one-gpu", "fleet")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the dashboards are long
RELEASE, NAMESPACE = "moebius", "inpaint"

Document = dict[str, Any]


@cache
def helm() -> str:
    """The binary: of $HELM, of `make check-chart`, or of the PATH. Skips the test where there is none."""
    installed = sorted(Path(sys.prefix).glob("helm-*/helm"))
    found = os.environ.get("HELM") or (str(installed[-1]) if installed else shutil.which("helm"))
    if found is None:
        pytest.skip("NOT TESTED, the chart: there is no helm here. `make check-chart` installs it.")
    return found


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Helm's answer, whatever its exit status."""
    return subprocess.run([helm(), *arguments], capture_output=True, text=True, check=False, timeout=60)


@cache
def rendered(value_set: str | None, *settings: str, release: str = RELEASE) -> tuple[Document, ...]:
    """All objects of the chart with a file of deploy/helm/values, None for the defaults, and key=value pairs."""
    files = ["--values", str(VALUES / f"{value_set}.yaml")] if value_set else []
    overrides = [argument for setting in settings for argument in ("--set-json", setting)]
    answer = run_helm("template", release, str(CHART), "--namespace", NAMESPACE, *files, *overrides)
    assert answer.returncode == 0, answer.stderr
    return tuple(document for document in yaml.load_all(answer.stdout, LOADER) if document)


def of_kind(documents: Sequence[Document], kind: str) -> list[Document]:
    return [document for document in documents if document["kind"] == kind]


def by_name(documents: Sequence[Document], kind: str) -> dict[str, Document]:
    return {document["metadata"]["name"]: document for document in of_kind(documents, kind)}


def named(documents: Sequence[Document], kind: str, name: str) -> Document:
    """The one object; fails with the names that there are."""
    found = by_name(documents, kind)
    assert name in found, f"no {kind} {name}, only {sorted(found)}"
    return found[name]


def workloads(documents: Sequence[Document]) -> list[Document]:
    """What makes pods."""
    return [document for document in documents if document["kind"] in {"Deployment", "StatefulSet"}]


def pod_labels(workload: Document) -> dict[str, str]:
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def pod_spec(workload: Document) -> Document:
    spec: Document = workload["spec"]["template"]["spec"]
    return spec


def container(workload: Document) -> Document:
    (only,) = pod_spec(workload)["containers"]
    return dict(only)


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a selector of labels chooses what has them. All of the chart's are matchLabels."""
    assert set(selector) == {"matchLabels"}, selector
    return bool(selector["matchLabels"].items() <= labels.items())


def chosen(selector: Mapping[str, Any], documents: Sequence[Document]) -> list[Document]:
    """The workloads whose pods a selector chooses."""
    return [workload for workload in workloads(documents) if matches(selector, pod_labels(workload))]


def ports(workload: Document) -> dict[str, int]:
    """Numbers of a pod's ports, by name."""
    return {port["name"]: port["containerPort"] for port in container(workload)["ports"]}


def environment(workload: Document, documents: Sequence[Document]) -> dict[str, str | None]:
    """What the container's process finds in its environment; None for what comes from elsewhere."""
    found: dict[str, str | None] = {}
    for source in container(workload).get("envFrom", []):
        found.update(named(documents, "ConfigMap", source["configMapRef"]["name"])["data"])
    found.update({entry["name"]: entry.get("value") for entry in container(workload)["env"]})
    return found


def texts(value: object) -> Iterator[str]:
    """Every key and text inside a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value
