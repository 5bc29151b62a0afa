"""An engine in a process of its own: seconds until its first step, and memory by batch size.

`measured_start` is for benchmarks; as a command this module is that process, and answers a line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

from benchmarks.engine_choices import EngineChoice
from benchmarks.engine_tasks import guided_step
from benchmarks.peak_memory import resident_mebibytes, resident_memory_of_call
from service.engine.base import DeviceOutOfMemory, Engine
from service.errors import ArtifactError

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds: `opened`, from a new process to a loaded and checked engine; `warm_up`; `first_step`, a guided step of
    one crop; all three are the cold start. MiB: `idle` then, and at the most during a step of each batch size, of the
    process, or of the whole GPU. A batch size that there is no memory for is missing.
    """

    opened: float
    warm_up: float
    first_step: float
    idle: float
    step_memory: dict[int, float]

    @property
    def cold(self) -> float:
        """Seconds of the whole start."""
        return self.opened + self.warm_up + self.first_step


def measured_start(
    choice: EngineChoice, model: str, store: Path, *, threads: int, batches: Sequence[int], cache: Path
) -> Start:
    """Start a process that opens the engine, which keeps in `cache` what later starts can use. `ArtifactError` with
    what it said if it could not.
    """
    told = {"choice": asdict(choice), "model": model, "store": str(store), "threads": threads}
    told |= {"batches": sorted(batches), "started": monotonic()}
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.cold_start", json.dumps(told)],
        cwd=ROOT,
        env=os.environ | {"MOEBIUS_CACHE_DIR": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer = json.loads(finished.stdout)
    if "error" in answer:
        raise ArtifactError(answer["error"])
    answer["step_memory"] = {int(batch): peak for batch, peak in answer["step_memory"].items()}
    return Start(**answer)


def main(text: str) -> None:
    """Measure this process, as it was told, and print the answer."""
    told = json.loads(text)
    choice, batches = EngineChoice(**told["choice"]), told["batches"]
    try:
        engine = choice.open(
            told["model"], threads=told["threads"], max_batch=batches[-1], model_store=Path(told["store"])
        )
    except ArtifactError as error:
        print(json.dumps({"error": error.detail}))
    else:
        print(json.dumps(asdict(start_of(engine, told["started"], batches))))


def start_of(engine: Engine, started: float, batches: Sequence[int]) -> Start:
    """What is left of a start that began at `started` (`time.monotonic`) and has opened the engine."""
    opened_at = monotonic()
    engine.warmup()
    warm_at = monotonic()
    guided_step(engine)()
    stepped_at = monotonic()
    return Start(
        opened=opened_at - started,
        warm_up=warm_at - opened_at,
        first_step=stepped_at - warm_at,
        idle=_held(engine),
        step_memory=_step_memory(engine, batches),
    )


def _step_memory(engine: Engine, batches: Sequence[int]) -> dict[int, float]:
    """Ascending, as what a runtime has once taken it keeps."""
    found: dict[int, float] = {}
    for batch in batches:
        if batch > engine.limits.batch_sizes[-1]:
            break  # the warm-up had no memory for it
        try:
            memory = resident_memory_of_call(guided_step(engine, batch))
        except DeviceOutOfMemory:
            break
        found[batch] = memory.whole if engine.info.device == "cpu" else _held(engine)
    return found


def _held(engine: Engine) -> float:
    """MiB that this process holds, or that are taken of the whole GPU: runtimes keep there what they once took."""
    device = engine.info.device
    if device == "cpu":
        return resident_mebibytes("VmRSS")
    index = device.partition(":")[2] or "0"
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", f"--id={index}"]
    return float(subprocess.run(query, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main(sys.argv[1])
