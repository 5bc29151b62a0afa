"""A few-step model behind real servers: a request that names no numbers takes the model's own, over every interface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest

from service.artifacts import FewStepSampling
from service.contracts import Job
from service.pb.moebius.v1 import inpaint_pb2 as pb
from service.pb.moebius.v1.inpaint_pb2_grpc import InpaintServiceStub
from service.queue.client import QueueClient
from service.settings import Settings
from tests.faults.polling import until
from tests.integration.edge import live_edge
from tests.integration.edge.pictures import SIZE, decode
from tests.integration.edge.requests import FILES, next_of, submitted, watching
from tests.integration.grpc.calls import Stub, inpaint_request, put_together, submit_request, upload
from tests.integration.grpc.conftest import serving
from tests.integration.worker.running_worker import CLIENT, QUICK, RunningWorker, step_until

SAMPLING = FewStepSampling(timesteps=(999, 749, 499, 249), guidance_scale=2.5)
NAME = "moebius-nano-4step"


@pytest.fixture
def few_step(queue_url: str, settings: Settings) -> Iterator[RunningWorker]:
    """A worker of the few-step model, beside one of an ordinary model, which is the default."""
    ordinary = RunningWorker(queue_url, settings)
    worker = RunningWorker(queue_url, settings.model_copy(update={"model": NAME}), QUICK, SAMPLING)
    live_edge.until(lambda: ordinary.worker.ready and worker.worker.ready)
    yield worker
    for running in (ordinary, worker):
        running.end(drain=False)


@pytest.fixture
def rest(queue_url: str, settings: Settings, few_step: RunningWorker) -> Iterator[httpx.Client]:
    with (
        live_edge.running_edge(queue_url, settings) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


@pytest.fixture
async def stub(queue_url: str, settings: Settings, few_step: RunningWorker) -> AsyncIterator[Stub]:
    free_port = settings.model_copy(update={"grpc_port": 0})
    async with serving(queue_url, free_port) as address, grpc.aio.insecure_channel(address) as channel:
        yield InpaintServiceStub(channel)


def test_the_models_tell_the_steps_and_the_guidance_that_they_take(rest: httpx.Client) -> None:
    told = rest.get("/v1/models").json()["models"]
    names = ("name", "default_steps", "allowed_steps", "guidance_scale")
    assert [tuple(model[name] for name in names) for model in told] == [
        ("moebius-nano", 20, None, 2.0),
        (NAME, 4, [4], 2.5),
    ]


@pytest.mark.parametrize("fields", [{}, {"steps": "4"}, {"steps": "4", "guidance_scale": "2.5"}])
def test_a_request_takes_four_steps(
    rest: httpx.Client, few_step: RunningWorker, fields: dict[str, str]
) -> None:
    answer = rest.post("/v1/inpaint", files=FILES, data={"model": NAME, **fields})
    assert (answer.status_code, answer.headers["x-model"]) == (200, NAME)
    assert decode(answer.content).size == SIZE
    assert few_step.engine.steps == 4


def test_a_weaker_run_takes_the_last_of_the_steps(rest: httpx.Client, few_step: RunningWorker) -> None:
    rest.post("/v1/inpaint", files=FILES, data={"model": NAME, "strength": "0.5"}).raise_for_status()
    assert few_step.engine.steps == 2


def test_a_request_for_the_default_model_takes_its_twenty(
    rest: httpx.Client, few_step: RunningWorker
) -> None:
    job = submitted(rest)
    with watching(rest, job["id"]) as events:
        *_, last = events
    assert (job["model"], last.data["steps"]) == ("moebius-nano", 20)
    assert few_step.engine.steps == 0


def test_progress_is_told_of_four(rest: httpx.Client, few_step: RunningWorker) -> None:
    few_step.engine.gate.clear()
    with watching(rest, submitted(rest, model=NAME)["id"]) as events:
        few_step.engine.gate.allow(3)
        while (progress := next_of(events, "progress").data)["step"] < 3:
            pass
        few_step.engine.gate.set()
        *_, last = events
    assert (progress["step"], progress["steps"]) == (3, 4)
    assert (last.kind, last.data["steps"]) == ("succeeded", 4)


@pytest.mark.parametrize(
    "params", [pb.Params(model=NAME), pb.Params(model=NAME, steps=4, guidance_scale=2.5)]
)
async def test_a_call_takes_four_steps(stub: Stub, few_step: RunningWorker, params: pb.Params) -> None:
    answer = await stub.Inpaint(inpaint_request(params=params))
    assert answer.result.model == NAME
    assert decode(answer.pictures[0]).size == SIZE
    assert few_step.engine.steps == 4


async def test_a_submitted_job_has_four_steps_before_it_runs(stub: Stub, few_step: RunningWorker) -> None:
    few_step.engine.gate.clear()
    submitted_job = await stub.SubmitJob(submit_request(params=pb.Params(model=NAME)))
    assert (submitted_job.job.step, submitted_job.job.steps) == (0, 4)


async def test_a_streamed_call_ends_after_four(stub: Stub, few_step: RunningWorker) -> None:
    found = await put_together(stub.InpaintStream(upload(params=pb.Params(model=NAME))))
    assert decode(found.pictures[0]).size == SIZE
    assert few_step.engine.steps == 4


async def test_a_call_learns_the_only_numbers_of_each_model(stub: Stub) -> None:
    models = (await stub.ListModels(pb.ListModelsRequest())).models
    assert [(model.name, model.default_steps, list(model.allowed_steps)) for model in models] == [
        ("moebius-nano", 20, []),
        (NAME, 4, [4]),
    ]


async def test_a_request_that_joins_at_another_step_changes_no_byte(
    client: QueueClient, new_job: Callable[..., Job], few_step: RunningWorker
) -> None:
    def job(seed: int) -> Any:
        return new_job(model=NAME, seed=seed, steps=4, guidance_scale=2.5)

    first, alone = job(1), job(2)
    await client.submit(alone)
    expected = (await client.wait(alone.id, CLIENT)).pictures
    few_step.engine.batches.clear()
    few_step.engine.stepping.clear()
    few_step.engine.gate.clear()
    await client.submit(first)
    await until(few_step.engine.stepping.is_set)
    joining = job(2)
    await client.submit(joining)
    await step_until(few_step, lambda: 2 in few_step.engine.batches)
    few_step.engine.gate.set()
    assert (await client.wait(joining.id, CLIENT)).pictures == expected
    assert (await client.wait(first.id, CLIENT)).pictures != expected
    assert few_step.engine.batches[0] == few_step.engine.batches[-1] == 1, "they ran at different steps"
