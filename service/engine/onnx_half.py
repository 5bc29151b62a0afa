"""Half precision for a U-Net's step: the graph with fp16 weights and arithmetic, but for what is listed here.

In fp32 stay the latents `x` and `clean` and their update with its coefficients, the angles of the time embedding
(timesteps up to 1000), softmax, and the statistics of group norms; those of layer norms the operator itself keeps in
fp32. The VAE is not converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from service.errors import ArtifactError

COEFFICIENTS = "coefficients"  # the input that only the update reads
OPERATORS_IN_FP32 = ("Softmax", "InstanceNormalization")  # a group norm is exported as the latter
ANGLE_OPERATORS = frozenset({"Sin", "Cos"})
SMALLEST_APART = 1024  # bytes; larger tensors lie beside the graph


def convert_to_half(source: Path, target: Path) -> None:
    """Write the graph of a step, its constants folded, in half precision; inputs and outputs stay as they are.

    `ArtifactError` if the package that edits graphs is not installed.
    """
    try:
        import onnx
        from onnxruntime.transformers import float16
    except ImportError as error:
        raise ArtifactError(
            f"Half precision needs the package onnx: {error}. Install moebius[gpu] again, or use --precision fp32."
        ) from error
    model = onnx.load(source)
    _name_all(model.graph.node)
    half = float16.convert_float_to_float16(
        model,
        keep_io_types=True,
        op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *OPERATORS_IN_FP32],
        node_block_list=sorted(nodes_in_fp32(model.graph)),
    )
    onnx.save(
        half,
        target,
        save_as_external_data=True,
        location=f"{target.name}.data",
        size_threshold=SMALLEST_APART,
    )


def nodes_in_fp32(graph: Any) -> set[str]:
    """Names of the nodes of the update, and of those that the angles come from."""
    update = _reached({COEFFICIENTS}, graph.node, read=lambda node: node.input, made=lambda node: node.output)
    angles = {node.input[0] for node in graph.node if node.op_type in ANGLE_OPERATORS}
    before = _reached(
        angles, reversed(graph.node), read=lambda node: node.output, made=lambda node: node.input
    )
    return update | before | {node.name for node in graph.node if node.op_type in ANGLE_OPERATORS}


def _reached(
    start: set[str],
    nodes: Iterable[Any],
    *,
    read: Callable[[Any], Iterable[str]],
    made: Callable[[Any], Iterable[str]],
) -> set[str]:
    """Names of the nodes that a walk along the edges from the values `start` meets; nodes are in order."""
    values, names = set(start), set()
    for node in nodes:
        if values.intersection(read(node)):
            values.update(made(node))
            names.add(node.name)
    return names


def _name_all(nodes: Iterable[Any]) -> None:
    for number, node in enumerate(nodes):
        node.name = node.name or f"node_{number}"
