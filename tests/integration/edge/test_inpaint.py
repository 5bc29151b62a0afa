"""POST /v1/inpaint as clients use it: what they may send, and what they get back."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.contracts import Params
from tests.integration.edge.live_edge import FlatWorker, until
from tests.integration.edge.pictures import JPEG, MASK, PHOTO, SIZE, decode

ROUTE = "/v1/inpaint"
FILES = {"image": ("photo.png", PHOTO), "mask": ("mask.png", MASK)}
DOCUMENT = {"image": base64.b64encode(PHOTO).decode(), "mask": base64.b64encode(MASK).decode()}
AS_JSON = {"Accept": "application/json"}


def test_a_photo_comes_back_with_only_its_hole_changed(client: httpx.Client) -> None:
    answer = client.post(ROUTE, files=FILES, data={"dilate": "0", "feather": "0"})
    assert answer.status_code == 200, answer.text
    before, after = np.asarray(decode(PHOTO)), np.asarray(decode(answer.content))
    hole = np.asarray(decode(MASK)) > 0
    assert after.shape == before.shape
    assert (after[hole] != before[hole]).any()
    margin = np.zeros_like(hole)
    margin[10:-10, 10:-10] = True
    assert (after[~margin] == before[~margin]).all()


def test_the_headers_name_job_seed_model_and_timing(client: httpx.Client) -> None:
    answer = client.post(ROUTE, files=FILES, data={"seed": "7"})
    assert answer.headers["x-job-id"].startswith("s0-")
    assert answer.headers["x-seed"] == "7"
    assert answer.headers["x-model"] == "moebius-nano"
    stages = [entry.partition(";dur=") for entry in answer.headers["server-timing"].split(", ")]
    assert [name for name, _, _ in stages] == ["queue", "decode", "encode"]
    assert all(float(milliseconds) >= 0 for _, _, milliseconds in stages)


def test_a_header_names_the_boxes_that_the_model_saw(client: httpx.Client) -> None:
    answer = client.post(ROUTE, files=FILES)
    document = client.post(ROUTE, files=FILES, headers=AS_JSON).json()
    names = ("left", "top", "right", "bottom")
    told = [
        dict(zip(names, map(int, box.split(",")), strict=True)) for box in answer.headers["x-boxes"].split()
    ]
    assert told == document["boxes"]
    assert told


def test_a_seed_that_was_left_out_is_drawn_and_told(client: httpx.Client) -> None:
    seeds = {client.post(ROUTE, files=FILES).headers["x-seed"] for _ in range(3)}
    assert len(seeds) == 3


@pytest.mark.parametrize(
    ("accept", "fields", "expected"),
    [
        (None, {}, "image/jpeg"),
        ("*/*", {}, "image/jpeg"),
        ("image/png", {}, "image/png"),
        ("image/webp;q=0.5, image/png", {}, "image/png"),
        ("image/avif, image/webp, */*;q=0.8", {}, "image/jpeg"),
        (None, {"output_format": "webp"}, "image/webp"),
        ("image/png, image/webp", {"output_format": "webp"}, "image/webp"),
        ("application/json;q=0, */*", {}, "image/jpeg"),
    ],
)
def test_the_format_is_the_inputs_own_unless_another_is_asked_for(
    client: httpx.Client, accept: str | None, fields: dict[str, str], expected: str
) -> None:
    files = {"image": ("photo.jpg", JPEG), "mask": FILES["mask"]}
    answer = client.post(ROUTE, files=files, data=fields, headers={"Accept": accept} if accept else {})
    assert answer.headers["content-type"] == expected
    assert Image.MIME[decode(answer.content).format or ""] == expected


def test_json_with_base64_gets_json_with_base64(client: httpx.Client) -> None:
    answer = client.post(ROUTE, json={**DOCUMENT, "seed": 3, "guidance_scale": 2}, headers=AS_JSON)
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"job_id", "model", "pictures", "boxes", "stages", "notes", "effective_mask"}
    assert body["effective_mask"] is None
    assert body["job_id"] == answer.headers["x-job-id"]
    assert body["pictures"][0]["seed"] == 3
    assert body["pictures"][0]["content_type"] == "image/png"
    assert decode(base64.b64decode(body["pictures"][0]["data"])).size == SIZE
    assert body["boxes"][0]["right"] > body["boxes"][0]["left"]
    assert body["stages"]["decode"] == 0.001


@pytest.mark.parametrize(
    "spell",
    [
        lambda data: "data:image/png;base64," + data,
        lambda data: "DATA:image/png;charset=x;BASE64," + data,
        lambda data: "\n".join(data[start : start + 76] for start in range(0, len(data), 76)),
    ],
    ids=["data URI", "shouted data URI", "lines of 76 (RFC 2045)"],
)
def test_other_spellings_of_base64_are_taken(client: httpx.Client, spell: Any) -> None:
    body = {name: spell(data) for name, data in DOCUMENT.items()}
    assert decode(client.post(ROUTE, json=body).content).size == SIZE


def test_candidates_come_together_with_their_seeds(client: httpx.Client) -> None:
    body = client.post(ROUTE, files=FILES, data={"n": "3", "seed": "10"}, headers=AS_JSON).json()
    assert [picture["seed"] for picture in body["pictures"]] == [10, 11, 12]
    assert len({picture["data"] for picture in body["pictures"]}) == 3


def test_every_parameter_reaches_the_worker_as_it_was_sent(client: httpx.Client, worker: FlatWorker) -> None:
    sent = Params(
        model="moebius-nano",
        steps=7,
        guidance_scale=3.5,
        strength=0.5,
        seed=1,
        context=40,
        dilate=3,
        feather=2,
        color_match=False,
        quality=80,
        keep_metadata=False,
        timeout=60,
    )
    fields = sent.model_dump(mode="json", exclude_none=True)
    client.post(ROUTE, json={**DOCUMENT, **fields}).raise_for_status()
    assert worker.claims[-1].job.params == sent
    client.post(ROUTE, files=FILES, data={name: str(value) for name, value in fields.items()})
    assert worker.claims[-1].job.params == sent
    assert worker.claims[-1].job.image == PHOTO
    assert worker.claims[-1].job.mask == MASK
    assert worker.claims[-1].job.client == "address:127.0.0.1"


def test_what_had_to_change_is_told_in_a_header_of_one_line(client: httpx.Client, worker: FlatWorker) -> None:
    worker.notes = ("The palette was full,\r\nso it became RGB", "X-Evil: yes \u2013")
    try:
        answer = client.post(ROUTE, files=FILES)
        document = client.post(ROUTE, files=FILES, headers=AS_JSON).json()
    finally:
        notes, worker.notes = worker.notes, ()
    assert answer.headers["x-notes"] == "The palette was full, so it became RGB; X-Evil: yes ?"
    assert document["notes"] == list(notes)
    assert "x-notes" not in client.post(ROUTE, files=FILES).headers


def test_a_client_that_leaves_takes_its_job_along(client: httpx.Client, worker: FlatWorker) -> None:
    """Work that runs on after the client has left is paid by those who wait."""
    with worker.held():
        known = len(worker.claims)
        with pytest.raises(httpx.ReadTimeout):
            client.post(ROUTE, files=FILES, timeout=httpx.Timeout(20, read=0.5))
        until(lambda: len(worker.claims) > known)
        abandoned = worker.claims[known].job.id
        until(lambda: abandoned in worker.dropped)
    until(lambda: 'code="499"' in client.get("/metrics").text)
    assert 'inpaint_jobs_total{outcome="cancelled"}' in client.get("/metrics").text


def test_a_deadline_that_passes_is_told_as_such(client: httpx.Client, worker: FlatWorker) -> None:
    with worker.held():
        answer = client.post(ROUTE, files=FILES, data={"timeout": "0.3"})
    assert answer.status_code == 504
    assert answer.json()["code"] == "job_expired"
    assert answer.json()["retryable"] is True
