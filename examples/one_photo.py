"""Fill the hole of one photo: python examples/one_photo.py http://localhost:8080 filled.jpg."""

from __future__ import annotations

import sys
from pathlib import Path

from moebius_client import Client, InvalidPicture, Overloaded

HERE = Path(__file__).resolve().parent


def main(server: str, output: str) -> None:
    """Errors are typed, and say what was wrong, what is allowed and what to do."""
    with Client(server) as client:
        try:
            result = client.inpaint(HERE / "seabed.jpg", HERE / "seabed-mask.png", seed=7)
        except InvalidPicture as error:
            sys.exit(f"{error} ({error.code})")
        except Overloaded as error:  # after all retries
            sys.exit(f"{error} Try again in {error.retry_after} s.")
    result.save(output)
    print(f"wrote {output}: seed {result.seed}, model {result.model}, crops {list(result.boxes)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
