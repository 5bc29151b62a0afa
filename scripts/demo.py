"""The demo behind `make demo`: a service on a free port, one photo with an object, the object gone.

Writes before.png, after.png, compare.png and service.log into out/, and prints the latency by stage.
MOEBIUS_BACKEND, MOEBIUS_MODEL and the service's other variables are honoured.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out"
PHOTO = ROOT / "examples" / "seabed.jpg"
MASK = ROOT / "examples" / "seabed-mask.png"
PARAMETERS = {"seed": "7", "output_format": "png", "timeout": "160"}
READY = re.compile(r"ready at (http://\S+).*\n")
START_PATIENCE = 170.0  # seconds for the service to be ready
PATIENCE = 170.0  # seconds for the answer; the whole demo takes less than three minutes on an idle machine
STOP_PATIENCE = 60.0
POLL = 0.1
TAIL = 4000  # characters of the log that a failure shows
GAP = 8  # white pixels between the panels
HOLE_TINT = np.array([255, 0, 80], dtype=np.float32)


@contextmanager
def service(log: Path) -> Iterator[str]:
    """The URL of a running service that stops with the block. SystemExit with its log if it can't start."""
    moebius = Path(sys.executable).with_name("moebius")
    with tempfile.TemporaryDirectory(prefix="moebius-demo-") as state:
        command = [str(moebius), "serve", "--port", "0", "--grpc-port", "0", "--state-dir", state]
        with (
            log.open("w") as output,
            subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process,
        ):
            try:
                yield await_ready(process, log)
            finally:
                stop(process)


def await_ready(process: subprocess.Popen[bytes], log: Path, patience: float = START_PATIENCE) -> str:
    """The URL that the service says when it is ready; SystemExit with the log's tail if it ends or takes longer."""
    give_up = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < give_up:
        if found := READY.search(log.read_text(errors="replace")):
            return found[1]
        time.sleep(POLL)
    what = "was not ready in time" if process.poll() is None else "did not start"
    raise SystemExit(f"The service {what}; it said:\n{log.read_text(errors='replace')[-TAIL:]}")


def stop(process: subprocess.Popen[bytes], patience: float = STOP_PATIENCE) -> None:
    """Let the service end in good order, and kill it if it takes too long."""
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()


def inpaint(url: str) -> httpx.Response:
    """The answer to the photo and its mask; SystemExit with the problem if it is not a picture."""
    files = {
        "image": (PHOTO.name, PHOTO.read_bytes(), "image/jpeg"),
        "mask": (MASK.name, MASK.read_bytes(), "image/png"),
    }
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        answer = client.post(f"{url}/v1/inpaint", files=files, data=PARAMETERS)
    if not answer.is_success:
        raise SystemExit(f"The service answered {answer.status_code}: {answer.text}")
    return answer


def write_pictures(filled: bytes) -> None:
    """before.png, after.png, and compare.png: the photo, the hole in it, and the answer, side by side."""
    after_path = OUT / "after.png"
    after_path.write_bytes(filled)
    with Image.open(PHOTO) as photo, Image.open(MASK) as mask, Image.open(after_path) as after:
        before = photo.convert("RGB")
        before.save(OUT / "before.png")
        hole = np.asarray(mask.convert("L").resize(before.size))[..., None] > 127  # [H, W, 1]
        pixels = np.asarray(before, dtype=np.float32)  # [H, W, 3]
        marked = np.where(hole, 0.4 * pixels + 0.6 * HOLE_TINT, pixels).astype(np.uint8)
        panels = [np.asarray(before), marked, np.asarray(after.convert("RGB"))]
    gap = np.full((before.height, GAP, 3), 255, np.uint8)
    row = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    Image.fromarray(row).save(OUT / "compare.png")


def report(answer: httpx.Response, start_seconds: float, answer_seconds: float) -> None:
    """Where the time went, by the answer's Server-Timing header."""
    headers = answer.headers
    print(f"model {headers['x-model']}, seed {headers['x-seed']}; started in {start_seconds:.1f} s")
    for entry in headers["server-timing"].split(", "):
        stage, _, milliseconds = entry.partition(";dur=")
        print(f"  {stage:<12}{float(milliseconds):>10.1f} ms")
    print(f"  {'whole answer':<12}{answer_seconds * 1000:>10.1f} ms")
    print(f"Look at {OUT / 'compare.png'}")


def main() -> None:
    """Run the demo."""
    OUT.mkdir(exist_ok=True)
    began = time.perf_counter()
    with service(OUT / "service.log") as url:
        ready = time.perf_counter()
        answer = inpaint(url)
        answered = time.perf_counter()
    write_pictures(answer.content)
    report(answer, ready - began, answered - ready)


if __name__ == "__main__":
    main()
