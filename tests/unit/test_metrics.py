"""The table of metrics in the documentation: every name with its labels, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from service import metrics
from service.metrics import QueueGauge

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(inpaint_\w+)` \|([^|]*)\|", re.MULTILINE)


def defined() -> dict[str, set[str]]:
    """Labels by the name that Prometheus sees."""
    found: dict[str, set[str]] = {}
    for entry in (*vars(metrics).values(), metrics.worker_ready(), metrics.last_step_timestamp()):
        if isinstance(entry, QueueGauge):
            found[entry.name] = set(entry.labels)
        elif isinstance(entry, MetricWrapperBase):
            suffix = "_total" if isinstance(entry, Counter) else ""
            found[f"{entry._name}{suffix}"] = set(entry._labelnames)
    return found


def test_the_documentation_has_every_metric_with_its_labels_and_no_other() -> None:
    rows = ROW.findall(DOCUMENTATION.read_text())
    assert len(rows) == len({name for name, _ in rows}), "one row each"
    assert {name: set(filter(None, labels.strip().split(", "))) for name, labels in rows} == defined()


def test_names_keep_to_the_conventions_of_prometheus() -> None:
    for name in defined():
        assert re.fullmatch(r"inpaint_[a-z_]+", name)
        assert not re.search(r"_(ms|milliseconds|mb|percent)\b", name), "base units"


def test_no_label_names_what_there_are_too_many_of() -> None:
    labels = set().union(*defined().values())
    assert not labels & {"job_id", "client", "seed", "path", "size", "worker", "trace_id"}
