"""The forms in which ONNX Runtime could run a denoising step on a CPU: other numbers, and other options of its session.

Each is made from the model's own graph with its constants folded.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from service.engine.onnx_half import convert_to_half
from service.engine.onnx_sessions import THREADING

FULL = "fp32"
PROVIDERS = ["CPUExecutionProvider"]
REDUCED = True  # to 7 bits: without VNNI, sums of 8-bit products overflow 16 bits
PRODUCTS = ["MatMul", "Gemm", "Conv"]
ARM_ONLY = "the runtime has bf16 products on ARM alone"
NO_OPENVINO = "no Python with onnxruntime-openvino was named (--openvino)"

Feed = dict[str, Any]
Make = Callable[
    [Path, Path, Sequence[Feed]], None
]  # from the folded graph, to the form's, with steps to calibrate on


@dataclass(frozen=True)
class Form:
    """How a step is computed. `make` writes the form's graph; left out, it is the folded one. `config` are entries of
    the session's options, `attributes` their fields, and `run` entries of each run's.
    """

    name: str
    make: Make | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, bool] = field(default_factory=dict)
    run: Mapping[str, str] = field(default_factory=dict)
    obstacle: str | None = None


def forms(cores: Sequence[int]) -> list[Form]:
    """All forms, the one that is served first. `cores` are those that the threads may be pinned to."""
    bf16 = {"mlas.enable_gemm_fastmath_arm64_bfloat16": "1"}
    not_arm = None if platform.machine() in {"aarch64", "arm64"} else ARM_ONLY
    pinned = ";".join(str(core + 1) for core in cores[1:])  # counted from 1; the first thread is the caller's
    return [
        Form(FULL),
        Form("fp16", _half),
        Form("bf16 products", config=bf16, obstacle=not_arm),
        Form("int8, dynamic", _dynamic),
        Form("int8, static", _static),
        Form("fp32, threads that sleep between nodes", config={"session.intra_op.allow_spinning": "0"}),
        Form("fp32, work cut in even parts", config={"session.dynamic_block_base": "0"}),
        Form(
            "fp32, a thread on each core",
            config={"session.intra_op_thread_affinities": pinned},
            obstacle=None if pinned else "one core",
        ),
        Form("fp32, denormals as zero", config={"session.set_denormal_as_zero": "1"}),
        Form("fp32, memory plans by shape", attributes={"enable_mem_pattern": True}),
        Form("fp32, no arena", attributes={"enable_cpu_mem_arena": False}),
        Form("fp32, arena shrunk after a step", run={"memory.enable_memory_arena_shrinkage": "cpu:0"}),
    ]


def fold(source: Path, target: Path) -> None:
    """Write a graph with its constants folded, its tensors beside it."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(
        "session.optimized_model_external_initializers_file_name", f"{target.name}.data"
    )
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(source, options, providers=PROVIDERS)


def open_form(form: Form, graph: Path, threads: int) -> Any:
    """A session of a form's graph; all that the form does not say is as the service has it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    for name, value in {**THREADING, **form.config}.items():
        options.add_session_config_entry(name, value)
    for name, switched in form.attributes.items():
        setattr(options, name, switched)
    return onnxruntime.InferenceSession(graph, options, providers=PROVIDERS)


def run_options(form: Form) -> Any:
    """Of each run of a form."""
    options = onnxruntime.RunOptions()
    for name, value in form.run.items():
        options.add_run_config_entry(name, value)
    return options


class _Steps(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
    """Hands the quantiser one step after the other."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        """The next step's inputs, or None after the last."""
        return next(self._feeds, None)


def _half(folded: Path, target: Path, _: Sequence[Feed]) -> None:
    convert_to_half(folded, target)


def _dynamic(folded: Path, target: Path, _: Sequence[Feed]) -> None:
    """Weights of matrix products beforehand, activations by each product's own range."""
    # One range for all of a weight: those of the position filters are stacks of matrices, which have no channels.
    quantize_dynamic(
        folded,
        target,
        op_types_to_quantize=["MatMul", "Gemm"],
        weight_type=QuantType.QInt8,
        reduce_range=REDUCED,
    )


def _static(folded: Path, target: Path, feeds: Sequence[Feed]) -> None:
    """Products and convolutions, activations by the ranges that the steps `feeds` had."""
    quantize_static(
        folded,
        target,
        _Steps(feeds),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=PRODUCTS,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=REDUCED,
    )
