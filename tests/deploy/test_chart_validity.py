"""That a cluster would take the chart's objects: Kubernetes' own schemas, and the models of the operators' objects."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.chart import VALUES, Document, named, rendered

OLDEST, NEWEST = "1.27", "1.35"  # Chart.yaml's kubeVersion, and what the Helm that renders is made for
OPERATORS = {
    "ScaledObject": "cloudcoil.models.keda.v1alpha1",
    "ServiceMonitor": "cloudcoil.models.prometheus_operator.v1",
    "PodMonitor": "cloudcoil.models.prometheus_operator.v1",
    "PrometheusRule": "cloudcoil.models.prometheus_operator.v1",
}


def refuse_what_the_model_does_not_know(document: Document) -> None:
    """Raises ValidationError for wrong values. Unknown keys, which the models drop, are missing in what comes back."""
    model: Any = getattr(importlib.import_module(OPERATORS[document["kind"]]), document["kind"])
    told = model.model_validate(document).model_dump(by_alias=True, exclude_unset=True, mode="json")
    assert told == document


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field(documents: tuple[Document, ...], version: str) -> None:
    for document in documents:
        if document["kind"] not in OPERATORS:
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field_of_what_fills_the_model_store(version: str) -> None:
    documents = list(yaml.safe_load_all((VALUES.parent / "pull-models.yaml").read_text("utf-8")))
    assert {document["kind"] for document in documents} == {"PersistentVolumeClaim", "Job"}
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)


def test_the_operators_know_every_field_of_theirs() -> None:
    documents = [document for document in rendered("fleet") if document["kind"] in OPERATORS]
    assert {document["kind"] for document in documents} == set(OPERATORS)
    for document in documents:
        refuse_what_the_model_does_not_know(document)


def test_kubernetes_refuses_a_misspelt_field() -> None:
    edge = copy.deepcopy(named(rendered("laptop"), "Deployment", "moebius-edge"))
    edge["spec"]["template"]["spec"]["terminationGracePeriod"] = 5
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(edge, NEWEST, strict=True)


def test_the_operators_refuse_a_misspelt_field() -> None:
    scaler = copy.deepcopy(named(rendered("fleet"), "ScaledObject", "moebius-worker-l4"))
    scaler["spec"]["minReplicas"] = 5
    with pytest.raises(AssertionError):
        refuse_what_the_model_does_not_know(scaler)
