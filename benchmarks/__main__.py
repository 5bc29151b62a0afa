"""`python -m benchmarks engine`: measure here, print the table, keep it and its numbers in benchmarks/results/."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.engine import markdown, measure_engines
from benchmarks.hardware import usable_cores
from service.errors import InpaintError
from service.settings import Settings

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("benchmark", choices=["engine"])
    parser.add_argument("--model", default=Settings().model)
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds; one before them warms up")
    parser.add_argument("--steps", type=int, default=20, help="denoising steps of a picture")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of each backend")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for engine.md and engine.json")
    arguments = parser.parse_args()
    try:
        report = measure_engines(
            arguments.model, rounds=arguments.rounds, steps=arguments.steps, threads=arguments.threads
        )
    except InpaintError as error:
        raise SystemExit(error.detail) from error
    table = markdown(report, " ".join(["python -m benchmarks", *sys.argv[1:]]))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "engine.md").write_text(table, encoding="utf-8")
    (arguments.output / "engine.json").write_text(
        json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8"
    )
    print(table)


if __name__ == "__main__":
    main()
