"""A picture in, the picture with its hole filled out: by both clients, over HTTP and gRPC."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moebius_client import (
    AsyncClient,
    Client,
    InvalidInput,
    InvalidRequest,
    Picture,
    Unauthenticated,
)
from service.edge.server import Addresses
from service.settings import Settings
from tests.integration.client.either import KINDS, Kind, inpaint
from tests.integration.edge.live_edge import MODEL_SIZE, SERVED, FlatWorker, running_servers
from tests.integration.edge.pictures import JPEG, MASK, PHOTO, decode, mask, photo

BEFORE = np.asarray(photo())
HOLE = np.asarray(mask()) > 0
KEY = "correct-horse"


@pytest.mark.parametrize("kind", KINDS)
def test_a_hole_is_filled_and_everything_about_it_is_told(kind: Kind, server: str) -> None:
    result = inpaint(kind, server, seed=7, dilate=0, feather=0)
    after = np.asarray(result.image)
    assert np.array_equal(after[~HOLE], BEFORE[~HOLE])
    assert not np.array_equal(after[HOLE], BEFORE[HOLE])
    assert (result.seed, result.model, result.content_type) == (7, SERVED.name, "image/png")
    assert result.boxes[0].right - result.boxes[0].left >= MODEL_SIZE
    assert {"queue", "decode", "encode"} <= set(result.stages)
    assert result.job_id
    assert result.notes == ()


@pytest.mark.parametrize("kind", KINDS)
def test_candidates_come_in_the_order_of_their_seeds(kind: Kind, server: str) -> None:
    result = inpaint(kind, server, n=3, seed=5)
    assert result.seeds == (5, 6, 7)
    assert len({bytes(candidate) for candidate in result.candidates}) == 3
    assert bytes(result) == bytes(result.candidates[0])
    assert all(decode(bytes(candidate)).size == decode(PHOTO).size for candidate in result.candidates)


def test_a_picture_may_be_whatever_holds_one(server: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(PHOTO)
    pictures: list[tuple[Picture, Picture]] = [
        (str(path), MASK),
        (path, bytearray(MASK)),
        (PHOTO, memoryview(MASK)),
        (io.BytesIO(PHOTO), io.BytesIO(MASK)),
        (photo(), mask()),
        (BEFORE, np.asarray(mask())),
        (BEFORE, HOLE),
    ]
    with Client(server) as client:
        filled = [client.inpaint(*pair, seed=7, dilate=0, feather=0).image for pair in pictures]
    assert all(np.array_equal(np.asarray(each), np.asarray(filled[0])) for each in filled)


def test_a_pil_image_keeps_its_orientation_and_profile(server: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    buffer = io.BytesIO()
    photo().save(buffer, "JPEG", exif=exif, icc_profile=b"")
    with Client(server) as client:
        result = client.inpaint(Image.open(buffer), mask((80, 96)))
    assert result.image.size == (80, 96)


def test_every_parameter_arrives(server: str) -> None:
    """Each with another value than its default, and of its own type."""
    with Client(server) as client:
        result = client.inpaint(
            JPEG,
            MASK,
            n=1,
            model=SERVED.name,
            steps=12,
            guidance_scale=3.5,
            strength=0.5,
            sampler="dpm-solver++",
            seed=2**32 - 1,
            mask_polarity="black",
            strategy="resize",
            context=4,
            dilate=2,
            feather=3,
            color_match=False,
            output_format="webp",
            quality=80,
            keep_metadata=False,
            priority="batch",
            timeout=60.5,
            preview=2,
            effective_mask=False,
        )
    assert (result.content_type, result.seed) == ("image/webp", 2**32 - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_out_of_range_is_refused_by_the_service(kind: Kind, server: str) -> None:
    with pytest.raises(
        InvalidRequest, match=r"steps is .?0.?, but must be a whole number from 1 to 100"
    ) as refusal:
        inpaint(kind, server, steps=0)
    assert (refusal.value.code, refusal.value.status) == ("invalid_parameter", 422)
    assert refusal.value.problem.retryable is False


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_parameter_is_refused_before_anything_is_sent(kind: Kind) -> None:
    with pytest.raises(TypeError, match="no parameter 'stepz'; did you mean 'steps'"):
        inpaint(kind, "http://127.0.0.1:1", stepz=3)


def test_a_value_that_no_message_holds_is_refused(addresses: Addresses) -> None:
    for wrong in ({"sampler": "euler"}, {"steps": "many"}, {"n": 2.5}):
        with pytest.raises(InvalidInput, match=next(iter(wrong))):
            inpaint("sync", f"grpc://{addresses.grpc}", **wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_sent_where_one_is_needed(
    kind: Kind,
    empty_queue_url: str,
    settings: Settings,
    worker: FlatWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_keys = settings.model_copy(update={"api_keys": {"alice": sha256(KEY.encode()).hexdigest()}})
    with running_servers(empty_queue_url, with_keys) as addresses:
        for server in (addresses.http, f"grpc://{addresses.grpc}"):
            monkeypatch.delenv("MOEBIUS_KEY", raising=False)
            with pytest.raises(Unauthenticated):
                inpaint(kind, server)
            monkeypatch.setenv("MOEBIUS_KEY", KEY)
            assert inpaint(kind, server).model == SERVED.name


async def test_the_models_that_are_served_are_told(server: str) -> None:
    async with AsyncClient(server) as client:
        (model,) = await client.models()
    assert (model.name, model.image_size, model.sha256) == (SERVED.name, MODEL_SIZE, SERVED.sha256)
    assert (model.allowed_steps, model.default_steps) == (None, 20)


async def test_both_clients_tell_the_same_of_the_models(server: str) -> None:
    with Client(server) as client:
        models = client.models()
    async with AsyncClient(server) as other:
        assert await other.models() == models
