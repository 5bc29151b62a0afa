"""Fill a folder of photos with one mask: python examples/folder_of_photos.py SERVER PHOTOS MASK FILLED.

`moebius inpaint PHOTOS MASK -o FILLED --server SERVER` does the same, and more.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from moebius_client import Client, MoebiusError

AT_A_TIME = 4


def main(server: str, photos: str, mask: str, filled: str) -> int:
    """How many could not be filled; each keeps its name and format."""
    folder = Path(filled)
    folder.mkdir(exist_ok=True)

    def fill(photo: Path) -> bool:
        try:
            result = client.inpaint(photo, mask, priority="batch")
        except MoebiusError as error:
            print(f"{photo.name}: {error}")
            return False
        result.save(folder / photo.name)
        return True

    with Client(server, timeout=3600) as client, ThreadPoolExecutor(AT_A_TIME) as threads:
        done = list(threads.map(fill, sorted(Path(photos).iterdir())))
    print(f"{sum(done)} of {len(done)} filled")
    return len(done) - sum(done)


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:]) else 0)
