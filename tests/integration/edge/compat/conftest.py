"""The drop-in interfaces of the edge's tests, as their originals' clients reach them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import openai
import pytest


@pytest.fixture(scope="module")
def openai_client(client: httpx.Client) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, told of nothing but the address; it does not try again."""
    with openai_client_of(str(client.base_url)) as made:
        yield made


def openai_client_of(url: str, key: str = "unused") -> openai.OpenAI:
    """A client of an edge."""
    return openai.OpenAI(base_url=f"{url.rstrip('/')}/v1", api_key=key, max_retries=0, timeout=60)
