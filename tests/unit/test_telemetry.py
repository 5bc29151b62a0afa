"""The metrics' names, labels and buckets, and the JSON logs."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service import telemetry
from service.contracts import Priority, Result, Status
from service.errors import EmptyMask


def samples() -> dict[str, list[dict[str, str]]]:
    """Labels of every sample of the page, by name."""
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(telemetry.render_metrics()[0].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def value(name: str, **labels: str) -> float:
    return telemetry.REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_finished_job_is_observed_by_stage_and_priority() -> None:
    stages = {
        "queue": 0.2,
        "decode": 0.01,
        "vae_encode": 0.1,
        "denoise": 2,
        "vae_decode": 0.3,
        "encode": 0.02,
    }
    before = value("inpaint_stage_duration_seconds_count", stage="denoise")
    result = Result((b"",), "image/png", (1,), "m", stages=stages)
    telemetry.observe_result(result, Priority.BATCH)
    assert value("inpaint_stage_duration_seconds_count", stage="denoise") == before + 1
    told = {labels["stage"] for labels in samples()["inpaint_stage_duration_seconds_count"]}
    assert told == {"decode", "vae_encode", "denoise", "vae_decode", "encode"}
    assert {"priority": "batch"} in samples()["inpaint_queue_wait_seconds_count"]


@pytest.mark.parametrize(("batch_size", "bucket"), [(1, "1"), (5, "6"), (32, "32"), (40, "+Inf")])
def test_a_step_is_observed_in_the_bucket_of_its_batch(batch_size: int, bucket: str) -> None:
    before = value("inpaint_step_duration_seconds_count", batch_bucket=bucket)
    telemetry.observe_step(batch_size, 0.05)
    assert value("inpaint_step_duration_seconds_count", batch_bucket=bucket) == before + 1
    assert value("inpaint_last_step_timestamp_seconds") > 1.7e9


def test_a_refusal_is_counted_by_its_code_and_raised_on() -> None:
    before = value("inpaint_rejected_total", reason="empty_mask")
    with pytest.raises(EmptyMask), telemetry.counting_rejections():
        raise EmptyMask("nothing selected")
    assert value("inpaint_rejected_total", reason="empty_mask") == before + 1


def test_outcomes_redis_errors_and_backends_have_their_labels() -> None:
    telemetry.count_job(Status.DEAD_LETTERED)
    telemetry.count_redis_error("submit")
    telemetry.set_backend_info(backend="onnxruntime", precision="fp32", model="m", model_sha="abc")
    telemetry.set_worker_ready(True)
    page = samples()
    assert {"outcome": "dead_lettered"} in page["inpaint_jobs_total"]
    assert {"op": "submit"} in page["inpaint_redis_errors_total"]
    expected = {"backend": "onnxruntime", "precision": "fp32", "model": "m", "model_sha": "abc"}
    assert expected in page["inpaint_backend_info"]
    assert value("inpaint_worker_ready") == 1


WORKER = """
from service import telemetry
telemetry.observe_step(4, 0.1)
telemetry.set_worker_ready(True)
"""
EDGE = """
from service import telemetry
import sys
telemetry.count_http_request("/livez", "GET", 200)
before = telemetry.render_metrics()[0].decode()
telemetry.forget_process(int(sys.argv[1]))
print(before, "=====", telemetry.render_metrics()[0].decode())
"""


def test_several_processes_share_one_page_and_the_dead_are_not_ready(tmp_path: Path) -> None:
    environment = {**os.environ, telemetry.MULTIPROCESS_VARIABLE: str(tmp_path)}
    worker = subprocess.Popen([sys.executable, "-c", WORKER], env=environment)
    assert worker.wait(60) == 0
    edge = subprocess.run(
        [sys.executable, "-c", EDGE, str(worker.pid)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = edge.stdout.split("=====")
    assert 'inpaint_step_duration_seconds_count{batch_bucket="4"} 1.0' in before
    assert 'inpaint_http_requests_total{code="200",method="GET",route="/livez"} 1.0' in before
    assert "inpaint_worker_ready 1.0" in before
    assert "inpaint_worker_ready" not in after
    assert 'inpaint_step_duration_seconds_count{batch_bucket="4"} 1.0' in after


def test_an_edge_alone_says_nothing_of_workers() -> None:
    code = "from service import telemetry; print(telemetry.render_metrics()[0].decode())"
    page = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "inpaint_worker_ready" not in page
    assert "inpaint_last_step_timestamp_seconds" not in page


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "service.edge", "levelname": "INFO", "msg": message, **extra})
    made.created, made.msecs = 0.0, 42.0
    return made


def test_a_log_record_is_one_line_of_json() -> None:
    line = telemetry.JsonFormatter().format(record("two\nlines", route="/v1/inpaint", path=Path("a")))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.042Z",
        "level": "info",
        "logger": "service.edge",
        "message": "two\nlines",
        "route": "/v1/inpaint",
        "path": "a",
    }


def test_a_traceback_stays_in_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        line = telemetry.JsonFormatter().format(record("failed", exc_info=sys.exc_info()))
    assert "\n" not in line
    assert "ValueError: broken" in json.loads(line)["exception"]
