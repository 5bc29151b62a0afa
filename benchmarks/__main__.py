"""`python -m benchmarks NAME`: measure here, print the table, keep it and its numbers in benchmarks/results/."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from service.errors import InpaintError

RESULTS = Path(__file__).resolve().parent / "results"
NAMES = {
    "engine": "the backends on one model",
    "reference": "our engines beside the published operator order",
    "local_lambda": "the ways to compute the position term of a Local-lambda",
    "rewrites": "what each rewrite of the inference form gains, beside the published order",
    "cpu_precision": "other precisions and options of ONNX Runtime on a CPU",
    "growth": "how time grows with batch, picture, holes and steps",
    "e2e": "where the milliseconds of a request over HTTP go",
    "curves": "step time by batch size, as a worker measures it",
    "serving": "step batching against whole-request batching under Poisson arrivals",
    "overhead": "what the server itself costs, beside LitServe",
    "scale": "throughput with 1 to 8 workers, and of the queue alone",
    "coding": "what decoding and encoding pictures costs, by their size",
    "queue_cost": "what a job costs the queue's server, and how many jobs it bears",
    "simulation": "1 to 1,000 workers in simulated time, on measured and modelled step times",
    "capacity": "devices, queue servers and money for a rate, from the results of the others",
    "simulation_check": "the simulation of a fleet beside the real system",
    "independence": "a picture alone and in every company",
    "autoencoder": "what encoding and decoding with the VAE takes, and what half precision changes",
    "overlap": "the VAE beside the step loop against instead of it",
    "previews": "what the previews of a job cost the others, and their bytes",
    "samplers": "how far few steps end from many, by sampler and spacing, and what a picture takes",
    "seams": "seam, tone and sharpness of fills beside the plain ways",
    "large": "large photographs: crops, seconds and memory",
    "start": "seconds until the service is ready, where they go, and memory when idle",
    "soak": "memory and keys under steady load",
    "distillation": "a training step, with and without cached latents, beside the published loop's structure",
}


def main() -> None:
    """Run one benchmark: its module's add_options, measure and markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(dest="benchmark", required=True)
    for name, about in NAMES.items():
        command = commands.add_parser(name, help=about)
        command.add_argument("--output", type=Path, default=RESULTS, help="folder for NAME.md and NAME.json")
        if name in sys.argv[1:2]:  # some load PyTorch
            import_module(f"benchmarks.{name}").add_options(command)
    arguments = parser.parse_args()
    benchmark = import_module(f"benchmarks.{arguments.benchmark}")
    try:
        report = benchmark.measure(arguments)
    except InpaintError as error:
        raise SystemExit(error.detail) from error
    text = benchmark.markdown(report, " ".join(["python -m benchmarks", *sys.argv[1:]]))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / f"{arguments.benchmark}.md").write_text(text, encoding="utf-8")
    numbers = json.dumps(asdict(report), indent=1)
    (arguments.output / f"{arguments.benchmark}.json").write_text(numbers + "\n", encoding="utf-8")
    if hasattr(benchmark, "draw"):
        benchmark.draw(report, arguments.output / f"{arguments.benchmark}.png")
    print(text)


if __name__ == "__main__":
    main()
