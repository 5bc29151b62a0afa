"""The simulated queue hands out jobs in the order of the real one."""

from __future__ import annotations

from random import Random

from benchmarks.fleet.queue import SimulatedQueue
from benchmarks.fleet.workload import Mix, draw_requests
from service.contracts import Job, Params, ServedModel, WorkerRegistration
from service.queue.client import QueueClient
from service.queue.consumer import QueueConsumer
from service.settings import Settings

MIX = Mix(crops=((1, 0.7), (2, 0.3)), steps=((10, 0.5), (40, 0.5)), batch_share=0.4, clients=4)


async def test_the_simulated_queue_claims_in_the_order_of_the_real_one(queue_url: str) -> None:
    settings = Settings(max_client_share=1)
    model = ServedModel(settings.model, 256, "dummy", "cpu", "fp32", "")
    consumer = QueueConsumer(queue_url, settings, WorkerRegistration("w", (model,), places=1))
    client = QueueClient(queue_url, settings)
    deadline = await client.now() + 3600
    simulated, random = SimulatedQueue(), Random(1)
    numbers: dict[str, int] = {}
    real_order: list[int] = []
    simulated_order: list[int] = []
    for request in draw_requests(1.0, 60.0, MIX, seed=4):
        params = Params(
            model=settings.model, seed=1, steps=request.steps, guidance_scale=2.0, priority=request.priority
        )
        job_id = client.new_job_id(request.client)
        numbers[job_id] = request.number
        await client.submit(
            Job(job_id, request.client, params, b"image", b"mask", deadline, places=request.crops)
        )
        simulated.submit(request)
        if random.random() < 0.5:
            places = random.randint(1, 3)
            claims = consumer.claim([settings.model], places=places, idle=False).claims
            real_order += [numbers[claim.job.id] for claim in claims]
            simulated_order += [job.request.number for job in simulated.claim(places, 0.0)]
    claims = consumer.claim([settings.model], places=1000, idle=False).claims
    real_order += [numbers[claim.job.id] for claim in claims]
    simulated_order += [job.request.number for job in simulated.claim(1000, 0.0)]
    await client.aclose()
    consumer.close()
    assert real_order == simulated_order
    assert real_order != sorted(real_order)
