"""Fill the hole of a photo over gRPC, with progress: python examples/grpc_inpaint.py ADDRESS PHOTO MASK -o OUT.

Chunks keep every message small, so that photos may be larger than gRPC's usual limit of 4 MB.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import grpc

from service.pb.moebius.v1 import inpaint_pb2, inpaint_pb2_grpc

CHUNK = 256 * 1024  # bytes


def chunks(data: bytes) -> Iterator[bytes]:
    """`data` in pieces."""
    return (data[start : start + CHUNK] for start in range(0, len(data), CHUNK))


def upload(photo: bytes, mask: bytes) -> Iterator[inpaint_pb2.InpaintStreamRequest]:
    """The header, then both pictures."""
    params = inpaint_pb2.Params(steps=20, seed=7)
    yield inpaint_pb2.InpaintStreamRequest(header=inpaint_pb2.InpaintHeader(params=params))
    for chunk in chunks(photo):
        yield inpaint_pb2.InpaintStreamRequest(image_chunk=chunk)
    for chunk in chunks(mask):
        yield inpaint_pb2.InpaintStreamRequest(mask_chunk=chunk)


def inpaint(address: str, photo: Path, mask: Path, output: Path, key: str | None = None) -> None:
    """`key` is the client's, where the service asks for one.

    Raises grpc.RpcError; its details say what was wrong, what is allowed and what to do.
    """
    picture = bytearray()
    metadata = (("authorization", f"Bearer {key}"),) if key else ()
    requests = upload(photo.read_bytes(), mask.read_bytes())
    with grpc.insecure_channel(address) as channel:
        service = inpaint_pb2_grpc.InpaintServiceStub(channel)
        for answer in service.InpaintStream(requests, timeout=120, metadata=metadata):
            if answer.HasField("event"):
                print(f"\rstep {answer.event.step} of {answer.event.steps} ", end="", flush=True)
            elif answer.HasField("picture_chunk"):
                picture += answer.picture_chunk.data
    output.write_bytes(picture)
    print(f"\nwrote {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(epilog="A client's key is read from the environment: MOEBIUS_KEY.")
    parser.add_argument("address", help="host:port of the service, localhost:50051 say")
    parser.add_argument("photo", type=Path)
    parser.add_argument("mask", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    inpaint(given.address, given.photo, given.mask, given.output, os.environ.get("MOEBIUS_KEY"))
