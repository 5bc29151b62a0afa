"""The metrics' names, labels and buckets, and what several processes tell together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service import telemetry
from service.contracts import TERMINAL, Priority, Result, Status
from service.errors import EmptyMask
from service.queue_load import QueueLoad
from tests.unit.test_queue_gauges import LOAD


def samples(load: QueueLoad | None = None) -> dict[str, list[dict[str, str]]]:
    """Labels of every sample of the page, by name."""
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(telemetry.render_metrics(load)[0].decode()):
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


def test_every_metric_of_the_table_is_on_the_page() -> None:
    tell_everything()
    told = {name.removesuffix("_bucket") for name in samples(LOAD)}
    assert told >= {
        "inpaint_http_requests_total",
        "inpaint_grpc_requests_total",
        "inpaint_request_duration_seconds",
        "inpaint_queue_wait_seconds",
        "inpaint_stage_duration_seconds",
        "inpaint_step_duration_seconds",
        "inpaint_batch_size",
        "inpaint_join_wait_steps",
        "inpaint_jobs_total",
        "inpaint_rejected_total",
        "inpaint_queue_jobs",
        "inpaint_oldest_job_age_seconds",
        "inpaint_queue_ready_cost",
        "inpaint_workers",
        "inpaint_worker_capacity",
        "inpaint_redis_memory_bytes",
        "inpaint_places",
        "inpaint_redeliveries_total",
        "inpaint_lease_lost_total",
        "inpaint_superseded_results_total",
        "inpaint_redis_errors_total",
        "inpaint_gpu_busy_seconds_total",
        "inpaint_gpu_memory_bytes",
        "inpaint_oom_total",
        "inpaint_backend_info",
        "inpaint_worker_ready",
        "inpaint_worker_restarts_total",
        "inpaint_last_step_timestamp_seconds",
    }


def tell_everything() -> None:
    telemetry.count_http_request("/livez", "GET", 200)
    telemetry.count_grpc_request("Inpaint", "OK")
    with telemetry.request_timer("rest", "sync", 0.0), telemetry.counting_rejections():
        pass
    with pytest.raises(EmptyMask), telemetry.counting_rejections():
        raise EmptyMask("nothing selected")
    stages = dict.fromkeys(("queue", *telemetry.STAGES), 0.1)
    telemetry.observe_result(Result((b"",), "image/png", (1,), "m", stages=stages), Priority.BATCH)
    telemetry.observe_step(1, 0.1)
    telemetry.observe_join_wait(3)
    telemetry.set_places(3, 8)
    telemetry.count_job(Status.SUCCEEDED)
    telemetry.count_redelivery(2)
    telemetry.count_lease_lost()
    telemetry.count_superseded_result()
    telemetry.count_redis_error("claim")
    telemetry.add_device_busy(0.5)
    telemetry.set_device_memory({"allocated": 1024})
    telemetry.count_oom()
    telemetry.set_backend_info(backend="dummy", precision="fp32", model="m", model_sha="")
    telemetry.set_worker_ready(True)
    telemetry.count_worker_restart()


@pytest.mark.parametrize(
    ("tell", "name", "growth"),
    [
        (lambda: telemetry.count_redelivery(2), "inpaint_redeliveries_total", 2),
        (lambda: telemetry.count_lease_lost(3), "inpaint_lease_lost_total", 3),
        (telemetry.count_superseded_result, "inpaint_superseded_results_total", 1),
        (lambda: telemetry.add_device_busy(0.5), "inpaint_gpu_busy_seconds_total", 0.5),
        (telemetry.count_oom, "inpaint_oom_total", 1),
        (telemetry.count_worker_restart, "inpaint_worker_restarts_total", 1),
        (lambda: telemetry.observe_join_wait(7), "inpaint_join_wait_steps_sum", 7),
    ],
)
def test_what_happens_is_counted(tell: Callable[[], None], name: str, growth: float) -> None:
    before = value(name)
    tell()
    assert value(name) == pytest.approx(before + growth)


def test_grpc_calls_and_memory_have_their_labels() -> None:
    telemetry.count_grpc_request("WatchJob", "RESOURCE_EXHAUSTED")
    telemetry.set_device_memory({"allocated": 10, "reserved": 20})
    assert value("inpaint_grpc_requests_total", method="WatchJob", code="RESOURCE_EXHAUSTED") >= 1
    assert value("inpaint_gpu_memory_bytes", kind="allocated") == 10
    assert value("inpaint_gpu_memory_bytes", kind="reserved") == 20


def test_a_page_without_a_look_at_the_queue_tells_nothing_of_it() -> None:
    assert "inpaint_queue_jobs" in samples(LOAD)
    assert not {"inpaint_queue_jobs", "inpaint_workers", "inpaint_redis_memory_bytes"} & set(samples())


def test_every_way_to_end_is_counted_from_0_so_that_the_first_is_an_increase() -> None:
    told = {labels["outcome"] for labels in samples()["inpaint_jobs_total"]}
    assert told == {status.value for status in TERMINAL}


def test_the_places_of_a_batch_are_taken_or_free() -> None:
    telemetry.set_places(3, 8)
    assert (value("inpaint_places", state="taken"), value("inpaint_places", state="free")) == (3, 5)
    telemetry.set_places(4, 2)
    assert value("inpaint_places", state="free") == 0


WORKER = """
from service import telemetry
telemetry.observe_step(4, 0.1)
telemetry.set_worker_ready(True)
telemetry.set_device_memory({"allocated": 1000})
telemetry.set_places(3, 8)
"""
EDGE = """
from service import telemetry
import sys
from tests.unit.test_queue_gauges import LOAD
telemetry.count_http_request("/livez", "GET", 200)
before = telemetry.render_metrics(LOAD)[0].decode()
telemetry.forget_process(int(sys.argv[1]))
print(before, "=====", telemetry.render_metrics()[0].decode())
"""


def test_several_processes_share_one_page_and_the_dead_are_not_ready(tmp_path: Path) -> None:
    environment = {**os.environ, telemetry.MULTIPROCESS_VARIABLE: str(tmp_path)}
    workers = [subprocess.Popen([sys.executable, "-c", WORKER], env=environment) for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    edge = subprocess.run(
        [sys.executable, "-c", EDGE, str(workers[0].pid)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = edge.stdout.split("=====")
    assert 'inpaint_step_duration_seconds_count{batch_bucket="4"} 2.0' in before
    assert 'inpaint_http_requests_total{code="200",method="GET",route="/livez"} 1.0' in before
    assert 'inpaint_queue_jobs{priority="batch",state="waiting"} 1.0' in before
    assert 'inpaint_places{state="free"} 10.0' in before
    assert "inpaint_worker_ready 2.0" in before
    assert 'inpaint_gpu_memory_bytes{kind="allocated"} 2000.0' in before
    assert "inpaint_worker_ready 1.0" in after
    assert 'inpaint_gpu_memory_bytes{kind="allocated"} 1000.0' in after
    assert "inpaint_queue_jobs" not in after
    assert 'inpaint_step_duration_seconds_count{batch_bucket="4"} 2.0' in after


def test_an_edge_alone_says_nothing_of_workers() -> None:
    code = "from service import telemetry; print(telemetry.render_metrics()[0].decode())"
    page = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "inpaint_worker_ready" not in page
    assert "inpaint_last_step_timestamp_seconds" not in page
    assert "inpaint_gpu_memory_bytes{" not in page
    assert "inpaint_places{" not in page
