"""The same client over gRPC: python examples/grpc_client.py grpc://localhost:50051 filled.jpg."""

from __future__ import annotations

import sys
from pathlib import Path

from moebius_client import Client

HERE = Path(__file__).resolve().parent


def main(server: str, output: str) -> None:
    """Only the address differs; grpcs:// is encrypted. Where a service asks for a key, MOEBIUS_KEY holds it."""
    with Client(server) as client:
        for model in client.models():
            print(f"{model.name}: {model.default_steps} steps, on {model.device}")
        client.inpaint(HERE / "seabed.jpg", HERE / "seabed-mask.png", seed=7).save(output)
    print(f"wrote {output}")


if __name__ == "__main__":
    main(*sys.argv[1:])
