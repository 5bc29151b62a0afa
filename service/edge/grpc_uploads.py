"""The client's side of InpaintStream: a header, then two files in chunks, bounded while they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from service.edge.grpc_messages import refuse_unknown_fields
from service.errors import InpaintError, InvalidRequest, MissingPart, PayloadTooLarge
from service.pb.moebius.v1 import inpaint_pb2 as pb

LINGER = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Upload:
    """A request in parts, put together."""

    image: bytes
    mask: bytes
    params: pb.Params
    idempotency_key: str


async def read_upload(requests: AsyncIterator[pb.InpaintStreamRequest], max_bytes: int) -> Upload:
    """Read until the client has ended its side. Raises `InvalidRequest`, MissingPart, PayloadTooLarge as soon as
    both files have more than `max_bytes`, and UnknownField.
    """
    header: pb.InpaintHeader | None = None
    files = {"image_chunk": bytearray(), "mask_chunk": bytearray()}
    async for request in requests:
        part = request.WhichOneof("part")
        if part is None:
            refuse_unknown_fields(request)
            raise InvalidRequest("A message of the stream is empty. Set header, image_chunk or mask_chunk.")
        if (part == "header") != (header is None):
            raise InvalidRequest(
                "The header comes once, as the first message; image and mask follow in chunks."
            )
        if part == "header":
            header = request.header
            continue
        files[part] += getattr(request, part)
        refuse_size(sum(map(len, files.values())), max_bytes)
    if header is None:
        raise InvalidRequest(
            "The stream ended before its header. Send the header, then image and mask in chunks."
        )
    refuse_unknown_fields(header)
    image, mask = (bytes(file) for file in files.values())
    refuse_absence(image, mask)
    return Upload(image, mask, header.params, header.idempotency_key)


@asynccontextmanager
async def lingering(requests: AsyncIterator[pb.InpaintStreamRequest]) -> AsyncIterator[None]:
    """Before the block's refusal leaves, throw away what is still under way, for a moment: some clients lose the
    answer when a write of theirs fails (grpc.aio reports "Internal error from Core").
    """
    try:
        yield
    except InpaintError:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                async for _ in requests:
                    pass
        raise


def refuse_size(size: int, max_bytes: int) -> None:
    """Raise PayloadTooLarge for pictures of `size` bytes together where that is over `max_bytes`."""
    if size > max_bytes:
        raise PayloadTooLarge(
            f"Image and mask have {size:,} bytes or more together; at most {max_bytes:,} are allowed. "
            "Send smaller files."
        )


def refuse_absence(image: bytes, mask: bytes) -> None:
    """Raise MissingPart where one of the pictures has no bytes."""
    missing = [name for name, data in (("image", image), ("mask", mask)) if not data]
    if missing:
        raise MissingPart(f"Missing: {' and '.join(missing)}. A request needs both an image and a mask.")
