"""What goes through Redis comes back equal."""

from __future__ import annotations

import json

import pytest

from service.contracts import Box, Params, Priority, Result, ServedModel, WorkerRegistration
from service.queue.fairness import VAE_COST, WEIGHTS, cost_of
from service.queue.wire import decode_job, decode_models, decode_result, encode_models, encode_result

RESULT = Result(
    pictures=tuple(bytes([index]) for index in range(10)),
    content_type="image/webp",
    seeds=tuple(range(10)),
    model="moebius-nano",
    boxes=(Box(1, 2, 3, 4),),
    stages={"decode": 0.125},
    notes=("ä note",),
)


def stored(result: Result) -> dict[bytes, bytes]:
    return {name.encode(): value for name, value in encode_result(result).items()}


def test_a_result_comes_back_equal_in_order() -> None:
    assert decode_result(stored(RESULT)) == RESULT


def test_a_result_of_another_version_is_refused() -> None:
    fields = stored(RESULT)
    fields[b"meta"] = json.dumps({"content_type": "image/png"}).encode()
    with pytest.raises(ValueError, match="validation error"):
        decode_result(fields)


def test_a_job_comes_back_equal() -> None:
    params = Params(model="m", seed=2**32 - 1, priority=Priority.BATCH, strength=0.3)
    job = decode_job(
        "s0-0", [b"client", params.model_dump_json().encode(), b"1500", b"6", None, None], b"image", b"mask"
    )
    assert (job.params, job.deadline, job.image, job.mask) == (params, 1.5, b"image", b"mask")
    assert job.places == 6


def test_a_job_keeps_its_trace_and_one_of_an_earlier_version_has_none() -> None:
    stored = [b"client", Params(model="m", seed=1).model_dump_json().encode(), b"1500", b"6"]
    traced = decode_job("s0-0", [*stored, b"00-a-b-01", b"vendor=1"], b"", b"")
    assert (traced.traceparent, traced.tracestate) == ("00-a-b-01", "vendor=1")
    for nothing in (None, b""):
        assert decode_job("s0-0", [*stored, nothing, nothing], b"", b"").traceparent is None


def test_a_job_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="unheard_of"):
        decode_job("s0-0", [b"client", b'{"unheard_of": 1}', b"1500", b"1", None, None], b"", b"")


def test_models_come_back_equal() -> None:
    models = (
        ServedModel("m", 256, "dummy", "cpu", "fp32", "00", 12),
        ServedModel("few", 256, "dummy", "cpu", "fp32", "00", 4, (4,), 2.5, vae_cost=11.4),
    )
    assert decode_models(encode_models(WorkerRegistration("w", models, 8))) == models


def test_a_job_costs_what_the_network_is_run() -> None:
    assert cost_of(Params(steps=10, guidance_scale=1), places=3) == 3 * (10 + VAE_COST)
    assert cost_of(Params(steps=10, guidance_scale=2), places=3) == 3 * (20 + VAE_COST)
    assert cost_of(Params(steps=10, strength=0.5, guidance_scale=1), places=1) == 5 + VAE_COST


def test_a_step_costs_half_where_guidance_is_distilled_into_the_model() -> None:
    guided = Params(steps=4, guidance_scale=2)
    assert cost_of(guided, places=3, distilled=True) == 3 * (4 + VAE_COST)
    assert cost_of(guided, places=3) == 3 * (8 + VAE_COST)


def test_a_crop_costs_what_its_models_workers_measure_of_encoding_and_decoding_it() -> None:
    params = Params(steps=10, guidance_scale=2)
    assert cost_of(params, places=3, vae_cost=11.4) == pytest.approx(3 * (20 + 11.4))
    assert cost_of(params, places=3, vae_cost=0.0) == 3 * 20


@pytest.mark.parametrize("left_open", [Params(steps=4), Params(guidance_scale=2)])
def test_what_a_job_with_open_parameters_costs_is_not_guessed(left_open: Params) -> None:
    with pytest.raises(ValueError, match="is still open"):
        cost_of(left_open, places=1)


def test_a_worker_that_says_nothing_of_sampling_serves_an_ordinary_model() -> None:
    told = b'[{"name":"m","image_size":256,"backend":"d","device":"cpu","precision":"fp32","sha256":""}]'
    (model,) = decode_models(told)
    assert (model.default_steps, model.allowed_steps, model.guidance_scale) == (20, None, 2.0)
    assert model.vae_cost is None


def test_what_a_later_version_tells_of_a_model_is_passed_over() -> None:
    told = (
        b'[{"name":"m","image_size":256,"backend":"d","device":"cpu","precision":"fp32","sha256":"",'
        b'"of_tomorrow":1}]'
    )
    assert decode_models(told) == (ServedModel("m", 256, "d", "cpu", "fp32", ""),)


def test_interactive_work_outweighs_batch_work() -> None:
    assert WEIGHTS[Priority.INTERACTIVE] > WEIGHTS[Priority.BATCH]
