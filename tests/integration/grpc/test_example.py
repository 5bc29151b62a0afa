"""The example of a client, with a key, against a server that wants one."""

from __future__ import annotations

import asyncio
import os
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from service.settings import Settings
from tests.integration.edge.live_edge import FlatWorker
from tests.integration.edge.pictures import MASK, PHOTO
from tests.integration.grpc.conftest import serving

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "grpc_inpaint.py"
KEY = "correct-horse"


@pytest.mark.parametrize(("key", "is_let_in"), [(KEY, True), ("wrong", False)])
async def test_the_example_sends_the_key_of_its_environment(
    queue_url: str, settings: Settings, worker: FlatWorker, tmp_path: Path, key: str, is_let_in: bool
) -> None:
    photo, mask, output = tmp_path / "photo", tmp_path / "mask", tmp_path / "filled"
    photo.write_bytes(PHOTO)
    mask.write_bytes(MASK)
    with_keys = settings.model_copy(update={"api_keys": {"alice": sha256(KEY.encode()).hexdigest()}})
    async with serving(queue_url, with_keys) as address:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLE), address, str(photo), str(mask), "-o", str(output)),
            env={**os.environ, "MOEBIUS_KEY": key, "PYTHONPATH": str(EXAMPLE.parents[1])},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    assert output.exists() is is_let_in, said
    assert (b"UNAUTHENTICATED" in said) is not is_let_in
