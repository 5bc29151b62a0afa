"""Which pixels a job may have changed, on request: in the JSON answer and at a route of its own."""

from __future__ import annotations

import base64

import httpx
import numpy as np
import pytest
from PIL import ExifTags

from tests.integration.edge.live_edge import FlatWorker
from tests.integration.edge.pictures import SIZE, decode, encode, mask, photo
from tests.integration.edge.requests import AS_JSON, FILES, submitted

ASKED = {"effective_mask": "true"}


def test_every_pixel_that_changed_is_in_it_and_what_was_masked_is_wholly(client: httpx.Client) -> None:
    answer = client.post("/v1/inpaint", files=FILES, data=ASKED, headers=AS_JSON).raise_for_status().json()
    levels = decode(base64.b64decode(answer["effective_mask"]))
    assert (levels.format, levels.mode, levels.size) == ("PNG", "L", SIZE)
    effective = np.array(levels)
    after = np.array(decode(base64.b64decode(answer["pictures"][0]["data"])))
    changed = (after != np.array(photo())).any(axis=2)
    assert (effective[changed] > 0).all()
    assert (effective[np.array(mask()) > 0] == 255).all()
    assert {0, 255} < set(np.unique(effective).tolist())  # and the feather in between


def test_nobody_gets_it_who_did_not_ask(client: httpx.Client) -> None:
    answer = client.post("/v1/inpaint", files=FILES, headers=AS_JSON).json()
    assert answer["effective_mask"] is None
    missing = client.get(f"/v1/jobs/{answer['job_id']}/mask")
    assert (missing.status_code, missing.json()["code"]) == (404, "mask_not_kept")


@pytest.mark.parametrize("route", ["/v1/inpaint", "/v1/jobs"])
def test_a_job_has_it_at_a_route_of_its_own(client: httpx.Client, worker: FlatWorker, route: str) -> None:
    answer = client.post(route, files=FILES, data=ASKED | {"dilate": "0", "feather": "0"})
    job_id = answer.headers.get("x-job-id") or answer.json()["id"]
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as events:
        events.read()  # to its end
    found = client.get(f"/v1/jobs/{job_id}/mask")
    assert found.headers["content-type"] == "image/png"
    assert np.array_equal(np.array(decode(found.content)), np.array(mask()))


def test_it_is_asked_for_too_early(client: httpx.Client, worker: FlatWorker) -> None:
    with worker.held():
        job = submitted(client, **ASKED)
        early = client.get(f"/v1/jobs/{job['id']}/mask")
        assert (early.status_code, early.json()["code"]) == (409, "job_not_finished")
        assert int(early.headers["retry-after"]) >= 1


def test_it_has_the_size_of_the_photo_as_displayed(client: httpx.Client) -> None:
    turned = photo().getexif()
    turned[ExifTags.Base.Orientation] = 6
    files = {
        "image": ("photo.jpg", encode(photo(), "JPEG", exif=turned)),
        "mask": ("mask.png", encode(mask((SIZE[1], SIZE[0])))),
    }
    answer = client.post("/v1/inpaint", files=files, data=ASKED, headers=AS_JSON).raise_for_status().json()
    assert decode(base64.b64decode(answer["effective_mask"])).size == (SIZE[1], SIZE[0])
