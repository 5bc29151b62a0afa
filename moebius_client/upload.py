"""One request, ready to be sent as often as it takes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moebius_client.parameters import given_parameters
from moebius_client.pictures import Picture, picture_bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """Two encoded pictures and the parameters. Sent again with its key it is the same job."""

    image: bytes
    mask: bytes
    parameters: Mapping[str, Any]
    idempotency_key: str


def make_upload(
    image: Picture, mask: Picture, parameters: Mapping[str, Any], idempotency_key: str | None
) -> Upload:
    """Reads files and encodes arrays. Raises `InvalidInput`, TypeError for an unknown parameter, and OSError."""
    given = given_parameters(parameters)
    key = uuid.uuid4().hex if idempotency_key is None else idempotency_key
    return Upload(picture_bytes(image, "image"), picture_bytes(mask, "mask"), given, key)
