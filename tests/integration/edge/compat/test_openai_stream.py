"""Streamed edits as OpenAI's own client reads them: partial images, then the picture."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types import ImageEditStreamEvent
from PIL import Image

from service.contracts import Preview, Progress
from tests.integration.edge.compat.test_openai import ALPHA_MASK, PROMPT, named
from tests.integration.edge.live_edge import FlatWorker, until
from tests.integration.edge.pictures import PHOTO, SIZE, decode, encode
from tests.integration.edge.requests import status_of

SMALL = encode(Image.new("RGB", (48, 40), "magenta"), "JPEG")


def streamed(client: openai.OpenAI, **fields: Any) -> openai.Stream[ImageEditStreamEvent]:
    stream: openai.Stream[ImageEditStreamEvent] = client.images.edit(
        image=named(PHOTO), mask=named(ALPHA_MASK), prompt=PROMPT, stream=True, **fields
    )
    return stream


def picture_of(event: ImageEditStreamEvent) -> Image.Image:
    return decode(base64.b64decode(event.b64_json))


def next_event(events: Iterator[ImageEditStreamEvent], worker: FlatWorker, step: int) -> ImageEditStreamEvent:
    """What the client reads once the worker has told a preview with this step."""
    worker.progress = Progress(step, 20, Preview(SMALL))
    return next(events)


def test_partial_images_of_the_photos_size_come_before_the_picture(
    openai_client: openai.OpenAI, worker: FlatWorker
) -> None:
    with worker.held():
        events = iter(streamed(openai_client, partial_images=2))
        partial = [next_event(events, worker, step) for step in (6, 12)]
        worker.progress = Progress(18, 20, Preview(SMALL))  # one more than was asked for
        worker.hold.clear()
        (completed,) = events
    assert [event.type for event in partial] == ["image_edit.partial_image"] * 2
    assert [getattr(event, "partial_image_index") for event in partial] == [0, 1]  # noqa: B009
    for event in partial:
        large = picture_of(event)
        assert (large.size, large.format, event.output_format) == (SIZE, "PNG", "png")
        assert large.getpixel((5, 5))[1] < 30  # type: ignore[index]
    assert completed.type == "image_edit.completed"
    assert picture_of(completed).size == SIZE
    assert completed.usage.total_tokens == 0


def test_the_worker_is_asked_for_as_many_previews_as_there_are_partial_images(
    openai_client: openai.OpenAI, worker: FlatWorker
) -> None:
    asked = []
    for partial_images in (0, 1, 3):
        list(streamed(openai_client, partial_images=partial_images))
        asked.append(worker.claims[-1].job.params.preview)
    assert asked == [0, 10, 5]  # of 20 steps


def test_every_picture_of_several_is_completed(openai_client: openai.OpenAI) -> None:
    events = list(streamed(openai_client, n=2))
    assert [event.type for event in events] == ["image_edit.completed"] * 2
    assert events[0].b64_json != events[1].b64_json


def test_what_is_not_used_is_named_before_the_stream(client: httpx.Client) -> None:
    files = {"image": ("photo.png", PHOTO), "mask": ("mask.png", ALPHA_MASK)}
    fields = {"stream": "true", "prompt": PROMPT, "response_format": "url"}
    answer = client.post("/v1/images/edits", files=files, data=fields)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-ignored-fields"] == "prompt, response_format"


def test_a_client_that_leaves_a_stream_ends_its_job(
    openai_client: openai.OpenAI, client: httpx.Client, worker: FlatWorker
) -> None:
    with worker.held():
        claims = len(worker.claims)
        stream = streamed(openai_client)
        until(lambda: len(worker.claims) > claims)
        job_id = worker.claims[-1].job.id
        stream.close()
        until(lambda: status_of(client, job_id) == "cancelled")


def test_an_error_on_the_way_is_raised_by_the_client(
    openai_client: openai.OpenAI, client: httpx.Client, worker: FlatWorker
) -> None:
    with worker.held():
        claims = len(worker.claims)
        stream = streamed(openai_client)
        until(lambda: len(worker.claims) > claims)
        client.delete(f"/v1/jobs/{worker.claims[-1].job.id}").raise_for_status()
        with pytest.raises(openai.APIError, match="The job was cancelled") as failed:
            list(stream)
    assert failed.value.code == "job_cancelled"
