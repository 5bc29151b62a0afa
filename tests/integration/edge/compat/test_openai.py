"""`client.images.edit` of OpenAI's own Python client, unchanged, against a real edge."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import openai
import pytest
from openai.types import ImagesResponse
from PIL import Image

from service.settings import Settings
from tests.integration.edge.compat.conftest import openai_client_of
from tests.integration.edge.live_edge import SERVED, FlatWorker, running_edge
from tests.integration.edge.pictures import JPEG, MASK, PHOTO, SIZE, decode, encode, photo

HOLE = (slice(30, 50), slice(40, 60))
PROMPT = "remove the lamp"


def roughness(image: Image.Image) -> float:
    """Mean step from a row to the next in HOLE: 13 levels in the noise of the photo, next to none in a flat fill."""
    pixels = np.array(image.convert("RGB"), np.int16)[HOLE]
    return float(np.abs(np.diff(pixels, axis=0)).mean())


def transparent_hole(image: Image.Image | None = None) -> bytes:
    """A PNG that is transparent in HOLE: of black, as masks are drawn, or a photo with a part rubbed out."""
    pixels = np.array((image or Image.new("RGB", SIZE)).convert("RGBA"))
    pixels[..., 3] = 255
    pixels[(*HOLE, 3)] = 0
    return encode(Image.fromarray(pixels))


ALPHA_MASK = transparent_hole()


def named(data: bytes, name: str = "photo.png") -> tuple[str, bytes]:
    return (name, data)


def edited(client: openai.OpenAI, **fields: Any) -> ImagesResponse:
    """The photo with HOLE filled."""
    return client.images.edit(**{"image": named(PHOTO), "mask": named(ALPHA_MASK), "prompt": PROMPT} | fields)


def picture_of(answer: ImagesResponse, index: int = 0) -> Image.Image:
    assert answer.data is not None
    data = answer.data[index].b64_json
    assert data is not None
    return decode(base64.b64decode(data))


def test_what_is_transparent_in_the_mask_is_filled_and_nothing_else(openai_client: openai.OpenAI) -> None:
    answer = edited(openai_client)
    before, after = np.array(photo()), np.array(picture_of(answer))
    assert after.shape == before.shape
    assert roughness(picture_of(answer)) < 3 < 10 < roughness(photo())
    changed = (after != before).any(axis=2)
    assert changed[HOLE].mean() > 0.9
    changed[22:58, 32:68] = False  # the hole grown and feathered
    assert not changed.any()
    assert answer.created > 1_700_000_000
    assert (answer.output_format, answer.size) == ("png", "96x80")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens_details.text_tokens == 0


def test_without_a_mask_what_is_transparent_in_the_image_is_filled(openai_client: openai.OpenAI) -> None:
    answer = openai_client.images.edit(image=named(transparent_hole(photo())), prompt=PROMPT)
    filled = picture_of(answer)
    assert filled.mode == "RGB"
    assert roughness(filled) < 3
    assert (np.array(filled)[:20] == np.array(photo())[:20]).all()


def test_a_transparent_photo_is_opaque_where_its_mask_had_it_filled(openai_client: openai.OpenAI) -> None:
    """The mask that many send is the photo itself with a part rubbed out, and the photo is the same file."""
    file = transparent_hole(photo())
    filled = picture_of(openai_client.images.edit(image=named(file), mask=named(file), prompt=PROMPT))
    assert filled.mode == "RGB"
    assert roughness(filled) < 3


def test_transparency_outside_of_the_mask_stays(openai_client: openai.OpenAI) -> None:
    pixels = np.array(photo("RGBA"))
    pixels[:8, :8, 3] = 0
    file = encode(Image.fromarray(pixels))
    filled = picture_of(openai_client.images.edit(image=named(file), mask=named(ALPHA_MASK), prompt=PROMPT))
    assert np.array_equal(np.array(filled)[..., 3], pixels[..., 3])


def test_several_pictures_differ_by_seed_alone(openai_client: openai.OpenAI) -> None:
    answer = edited(openai_client, n=3)
    assert answer.data is not None
    assert [picture_of(answer, index).size for index in range(3)] == [SIZE] * 3
    assert len({image.b64_json for image in answer.data}) == 3


def test_a_url_is_absolute_and_needs_no_key(openai_client: openai.OpenAI) -> None:
    answer = edited(openai_client, n=2, response_format="url")
    assert answer.data is not None
    urls = [image.url for image in answer.data]
    assert all(url is not None and url.startswith("http://127.0.0.1:") for url in urls)
    assert all(image.b64_json is None for image in answer.data)
    fetched = [httpx.get(str(url)) for url in urls]
    assert fetched[0].content != fetched[1].content
    for each in fetched:
        assert each.headers["content-type"] == "image/png"
        assert decode(each.content).size == SIZE
    assert httpx.get(str(urls[1])[:-1] + "2").status_code == 422
    guessed = httpx.get(str(urls[0]).rpartition("-")[0] + f"-{'0' * 32}/0")
    assert (guessed.status_code, guessed.json()["code"]) == (404, "job_not_found")


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_the_answer_is_in_the_format_that_was_asked_for(openai_client: openai.OpenAI, kind: Any) -> None:
    answer = edited(openai_client, image=named(JPEG, "photo.jpg"), output_format=kind)
    assert picture_of(answer).format == kind.upper()
    assert answer.output_format == kind


def test_less_compression_quality_makes_a_smaller_file(openai_client: openai.OpenAI) -> None:
    def size(compression: int) -> int:
        answer = edited(openai_client, output_format="jpeg", output_compression=compression)
        assert answer.data is not None
        return len(answer.data[0].b64_json or "")

    assert size(0) < size(50) < size(100)


def test_a_list_of_images_works_and_all_but_the_first_are_named_as_unused(
    openai_client: openai.OpenAI,
) -> None:
    assert picture_of(edited(openai_client, image=[named(PHOTO)])).size == SIZE
    other = encode(Image.new("RGB", (40, 30)))
    raw = openai_client.images.with_raw_response.edit(
        image=[named(PHOTO), named(other, "other.png")], mask=named(ALPHA_MASK), prompt=PROMPT
    )
    assert "image[1:]" in raw.headers["x-ignored-fields"]
    assert picture_of(raw.parse()).size == SIZE


def test_a_key_that_is_sent_again_is_the_same_edit(openai_client: openai.OpenAI, worker: FlatWorker) -> None:
    """Each try of OpenAI's client sends the key that it was given: what is asked twice is done once."""
    claimed = len(worker.claims)
    key = {"Idempotency-Key": uuid4().hex}
    first, second = (edited(openai_client, extra_headers=key) for _ in range(2))
    assert picture_of(first).tobytes() == picture_of(second).tobytes()
    assert len(worker.claims) == claimed + 1


@pytest.mark.parametrize("model", ["gpt-image-1", "gpt-image-1-mini", "chatgpt-image-latest", "dall-e-2"])
def test_what_is_taken_and_not_used_is_named(
    openai_client: openai.OpenAI, worker: FlatWorker, model: str
) -> None:
    raw = openai_client.images.with_raw_response.edit(
        image=named(PHOTO),
        mask=named(ALPHA_MASK),
        prompt=PROMPT,
        model=model,
        size="1024x1024",
        quality="high",
        background="opaque",
        input_fidelity="high",
        user="alice",
        output_compression=50,
    )
    told = set(raw.headers["x-ignored-fields"].split(", "))
    assert told == {
        *("prompt", "model", "size", "quality", "background", "input_fidelity", "user", "output_compression")
    }
    assert raw.headers["x-model"] == SERVED.name
    assert int(raw.headers["x-seed"]) == worker.claims[-1].job.params.seed
    assert raw.headers["x-request-id"] == raw.headers["x-job-id"]


BAD = {
    "too many": ({"n": 11}, "n", "invalid_parameter"),
    "no such format": ({"output_format": "gif"}, "output_format", "invalid_parameter"),
    "a field of nobody": ({"extra_body": {"sead": 7}}, "sead", "unknown_field"),
    "no picture": ({"image": named(b"GIF9")}, "image", "not_an_image"),
    "no hole": ({"mask": named(encode(Image.new("RGBA", SIZE, "white")))}, "mask", "empty_mask"),
    "a mask without alpha": ({"mask": named(MASK)}, "mask", "empty_mask"),
    "another size": ({"mask": named(encode(Image.new("RGBA", (40, 80))))}, "mask", "mask_size_mismatch"),
    "a broken mask": ({"mask": named(ALPHA_MASK[:60])}, "mask", "truncated_image"),
}


@pytest.mark.parametrize(("fields", "param", "code"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_wrong_with_a_request_is_a_bad_request_that_names_the_field(
    openai_client: openai.OpenAI, fields: dict[str, Any], param: str, code: str, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        edited(openai_client, stream=stream, **fields)
    error = refused.value
    assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")
    assert len(error.message) > 20


def test_without_mask_and_transparency_nothing_is_filled(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="nothing of the image is transparent") as refused:
        openai_client.images.edit(image=named(PHOTO), prompt=PROMPT)
    assert refused.value.param == "mask"


def test_a_model_that_nobody_serves_is_not_found(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        edited(openai_client, model="stable-something")
    assert (refused.value.param, refused.value.code) == ("model", "unknown_model")


def test_a_wrong_key_is_an_authentication_error(empty_queue_url: str, worker: FlatWorker) -> None:
    keys = {"alice": hashlib.sha256(b"alices").hexdigest()}
    with running_edge(empty_queue_url, Settings(api_keys=keys)) as url:
        with openai_client_of(url, "eves") as client, pytest.raises(openai.AuthenticationError) as refused:
            edited(client)
        assert refused.value.code == "unauthenticated"
        with openai_client_of(url, "alices") as client:
            answer = edited(client, response_format="url")
            assert answer.data is not None
            assert decode(httpx.get(str(answer.data[0].url)).content).size == SIZE  # with no key


async def test_the_asynchronous_client_works_as_well(client: httpx.Client) -> None:
    url = f"{str(client.base_url).rstrip('/')}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as asynchronous:
        answer = await asynchronous.images.edit(
            image=io.BytesIO(PHOTO), mask=named(ALPHA_MASK), prompt=PROMPT
        )
    assert picture_of(answer).size == SIZE


def test_behind_a_trusted_proxy_a_url_is_the_proxys(empty_queue_url: str, worker: FlatWorker) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pictures.example"}
    for trusted, start in (
        (("127.0.0.1",), "https://pictures.example/images/"),
        ((), "http://127.0.0.1:"),
    ):
        settings = Settings(trusted_proxies=trusted)
        with running_edge(empty_queue_url, settings) as url, openai_client_of(url) as client:
            answer = edited(client, response_format="url", extra_headers=forwarded)
        assert answer.data is not None
        assert str(answer.data[0].url).startswith(start)
