"""The calls of IOPaint 1.6's published web client, with the fields as its sources send them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx
import numpy as np
import pytest

from service.contracts import Params, Sampler, Strategy
from service.settings import Settings
from tests.integration.edge.live_edge import SERVED, FlatWorker, running_edge
from tests.integration.edge.pictures import JPEG, MASK, PHOTO, SIZE, decode, photo

ROUTE = "/api/v1/inpaint"


def data_uri(data: bytes, kind: str = "image/png") -> str:
    """As a browser's FileReader writes a file."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


# What the web client sends of an erase model's request, its two misspelt names included.
WEB_CLIENT: dict[str, Any] = {
    "image": data_uri(PHOTO),
    "mask": data_uri(MASK),
    "ldm_steps": 30,
    "ldm_sampler": "ddim",
    "zits_wireframe": True,
    "cv2_flag": "INPAINT_NS",
    "cv2_radius": 5,
    "hd_strategy": "Crop",
    "hd_strategy_crop_triger_size": 640,
    "hd_strategy_crop_margin": 128,
    "hd_trategy_resize_imit": 2048,
    "prompt": "",
    "negative_prompt": "",
    "use_croper": False,
    "croper_x": 0,
    "croper_y": 0,
    "croper_height": 512,
    "croper_width": 512,
    "use_extender": False,
    "extender_x": 0,
    "extender_y": 0,
    "extender_height": 512,
    "extender_width": 512,
    "sd_mask_blur": 12,
    "sd_strength": 1.0,
    "sd_steps": 50,
    "sd_guidance_scale": 7.5,
    "sd_sampler": "DPM++ 2M",
    "sd_seed": -1,
    "sd_match_histograms": False,
    "sd_lcm_lora": False,
    "paint_by_example_example_image": None,
    "p2p_image_guidance_scale": 1.5,
    "enable_controlnet": False,
    "controlnet_conditioning_scale": 0.4,
    "controlnet_method": "",
    "enable_brushnet": False,
    "brushnet_method": "",
    "brushnet_conditioning_scale": 1.0,
    "powerpaint_task": "text-guided",
}
PICTURES = {"image": data_uri(PHOTO), "mask": data_uri(MASK)}


def params_of(client: httpx.Client, worker: FlatWorker, **fields: Any) -> Params:
    """What a worker was asked for."""
    client.post(ROUTE, json=PICTURES | fields).raise_for_status()
    return worker.claims[-1].job.params


def test_the_web_clients_request_is_answered_with_a_picture_and_its_seed(
    client: httpx.Client, worker: FlatWorker
) -> None:
    answer = client.post(ROUTE, json=WEB_CLIENT)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert int(answer.headers["x-seed"]) == worker.claims[-1].job.params.seed
    after, before = np.array(decode(answer.content)), np.array(photo())
    assert after.shape == before.shape
    assert (after[:10] == before[:10]).all()
    assert (after[30:36, 36:44] != before[30:36, 36:44]).any()


def test_what_the_web_client_sends_and_is_not_used_is_named(client: httpx.Client) -> None:
    told = client.post(ROUTE, json=WEB_CLIENT).headers["x-ignored-fields"].split(", ")
    assert {"prompt", "ldm_steps", "cv2_radius", "hd_strategy_crop_trigger_size", "sd_steps"} <= set(told)
    assert set(told).isdisjoint({"image", "mask", "hd_strategy", "hd_strategy_crop_margin", "sd_seed"})


def test_the_fields_that_mean_something_reach_the_worker(client: httpx.Client, worker: FlatWorker) -> None:
    params = params_of(
        client,
        worker,
        hd_strategy="Crop",
        hd_strategy_crop_margin=64,
        sd_seed=7,
        sd_steps=30,
        sd_guidance_scale=3.5,
        sd_strength=0.5,
        sd_mask_blur=5,
        sd_sampler="DPM++ 2M",
    )
    told = (params.context, params.seed, params.steps, params.guidance_scale, params.strength, params.feather)
    assert told == (64, 7, 30, 3.5, 0.5, 5)
    assert (params.strategy, params.sampler) == (Strategy.AUTO, Sampler.DPM_SOLVER_PLUS_PLUS)


@pytest.mark.parametrize(
    ("name", "strategy"),
    [("Crop", Strategy.AUTO), ("Original", Strategy.AUTO), ("Resize", Strategy.RESIZE)],
)
def test_a_way_to_handle_large_pictures_is_the_nearest_of_ours(
    client: httpx.Client, worker: FlatWorker, name: str, strategy: Strategy
) -> None:
    params = params_of(client, worker, hd_strategy=name, hd_strategy_crop_margin=64)
    assert params.strategy is strategy
    assert params.context == (64 if name == "Crop" else None), "the margin is of crops alone"


@pytest.mark.parametrize(("name", "sampler"), [("DDIM", Sampler.DDIM), ("UniPC", Sampler.DDIM)])
def test_a_sampler_that_is_not_known_is_the_usual_one(
    client: httpx.Client, worker: FlatWorker, name: str, sampler: Sampler
) -> None:
    assert params_of(client, worker, sd_sampler=name).sampler is sampler


def test_what_can_not_be_had_otherwise_is_named(client: httpx.Client) -> None:
    sent = PICTURES | {"sd_keep_unmasked_area": False, "sd_sampler": "UniPC"}
    told = client.post(ROUTE, json=sent).headers["x-ignored-fields"]
    assert told == "sd_keep_unmasked_area, sd_sampler"


def test_its_defaults_for_other_networks_mean_the_models_own(
    client: httpx.Client, worker: FlatWorker
) -> None:
    params = params_of(client, worker, sd_steps=50, sd_guidance_scale=7.5)
    assert (params.steps, params.guidance_scale) == (20, 2.0)


def test_the_usual_seed_is_42_and_minus_one_is_random(client: httpx.Client, worker: FlatWorker) -> None:
    assert params_of(client, worker).seed == 42
    assert params_of(client, worker, sd_seed=-1).seed != params_of(client, worker, sd_seed=-1).seed


def test_base64_without_a_data_uri_and_a_jpeg_are_taken(client: httpx.Client) -> None:
    plain = {name: base64.b64encode(data).decode() for name, data in (("image", JPEG), ("mask", MASK))}
    answer = client.post(ROUTE, json=plain)
    assert decode(answer.content).format == "PNG"
    assert decode(answer.content).size == SIZE


WRONG = {
    "no mask": ({"mask": None}, 422, "Missing: mask"),
    "no picture": ({"image": data_uri(b"GIF9")}, 422, "image"),
    "steps": ({"sd_steps": 0}, 422, "sd_steps is 0"),
    "a strategy of nobody": ({"hd_strategy": "Zoom"}, 422, "hd_strategy is 'Zoom'"),
    "a field of nobody": ({"sd_sead": 7}, 422, "Unknown field 'sd_sead'"),
    "no step left": ({"sd_steps": 2, "sd_strength": 0.3}, 422, "leaves no denoising step"),
    "an extended picture": ({"use_extender": True}, 422, "use_extender is true, but is not offered"),
    "a part": ({"use_croper": True}, 422, "use_croper is true, but is not offered"),
}


@pytest.mark.parametrize(("fields", "status", "words"), WRONG.values(), ids=WRONG)
def test_an_error_is_told_where_the_web_client_looks_for_it(
    client: httpx.Client, fields: dict[str, Any], status: int, words: str
) -> None:
    answer = client.post(ROUTE, json=PICTURES | fields)
    assert answer.status_code == status
    document = answer.json()
    assert set(document) == {"error", "detail", "body", "errors"}
    assert words in document["errors"]


def test_what_the_web_client_asks_at_its_start(client: httpx.Client) -> None:
    config = client.get("/api/v1/server-config").raise_for_status().json()
    (model,) = config["modelInfos"]
    assert (model["name"], model["model_type"], model["need_prompt"]) == (SERVED.name, "inpaint", False)
    assert config["samplers"] == ["DDIM", "DPM++ 2M"]
    assert config["plugins"] == config["removeBGModels"] == []
    for switch in ("enableFileManager", "enableAutoSaving", "enableControlnet"):
        assert config[switch] is False
    assert config["disableModelSwitch"] is True
    assert client.get("/api/v1/model").json() == model
    assert client.post("/api/v1/samplers").json() == client.get("/api/v1/samplers").json()


def test_a_dropped_file_has_no_prompt_in_it(client: httpx.Client) -> None:
    answer = client.post("/api/v1/gen-info", files={"file": ("photo.png", PHOTO)})
    assert answer.json() == {"prompt": "", "negative_prompt": ""}


def test_the_model_can_be_confirmed_and_not_changed(client: httpx.Client) -> None:
    confirmed = client.post("/api/v1/model", json={"name": SERVED.name})
    assert confirmed.json()["name"] == SERVED.name
    refused = client.post("/api/v1/model", json={"name": "lama"})
    assert refused.status_code == 422
    assert SERVED.name in refused.json()["errors"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/inputimage"),
        ("POST", "/api/v1/save_image"),
        ("POST", "/api/v1/adjust_mask"),
        ("POST", "/api/v1/run_plugin_gen_mask"),
        ("POST", "/api/v1/switch_plugin_model"),
        ("GET", "/api/v1/medias"),
    ],
)
def test_what_is_not_offered_is_not_found_in_its_shape(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 404
    assert "not offered" in answer.json()["errors"]


def test_its_progress_by_socket_is_not_offered(client: httpx.Client) -> None:
    """The web client goes on without: it only shows no bar."""
    assert client.get("/ws/socket.io/?EIO=4&transport=polling").status_code == 404


def test_where_keys_are_asked_for_it_needs_one(empty_queue_url: str, worker: FlatWorker) -> None:
    keys = {"alice": hashlib.sha256(b"alices").hexdigest()}
    with (
        running_edge(empty_queue_url, Settings(api_keys=keys)) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        for method, path in (("POST", ROUTE), ("GET", "/api/v1/server-config"), ("GET", "/api/v1/medias")):
            refused = client.request(method, path)
            assert (refused.status_code, refused.json()["error"]) == (401, "unauthenticated")
        allowed = client.post(ROUTE, json=WEB_CLIENT, headers={"Authorization": "Bearer alices"})
    assert allowed.status_code == 200
