"""A denoising step on OpenVINO, for `benchmarks cpu_precision`: run by another Python, as its distribution of the
runtime and the plain one exclude each other.

`python openvino_step.py GRAPH INPUTS.npz OUTPUT.npy THREADS`: computes once, keeps the next latents in OUTPUT, writes
a line; then a step and a line for each line that it reads.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime


def main(graph: str, inputs: str, output: str, threads: str) -> None:
    """Answer each line with a step."""
    feed = dict(np.load(inputs))
    options = {"device_type": "CPU", "precision": "FP32", "num_of_threads": threads}
    providers = [("OpenVINOExecutionProvider", options), "CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(graph, providers=providers)
    np.save(output, session.run(None, feed)[0])
    print("ready", flush=True)
    for _ in sys.stdin:
        session.run(None, feed)
        print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
