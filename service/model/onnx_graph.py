"""Turns a network into an ONNX file whose weights stay where they are: in a safetensors file beside it.

Weights are stored once. A tensor stored in half precision is followed by a Cast to fp32 that the runtime
folds when it loads the file. Everything else (shapes, index tables) is inline and small.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir
import torch
from onnx_ir.passes import Sequential
from onnx_ir.passes.common import (
    ClearMetadataAndDocStringPass,
    CommonSubexpressionEliminationPass,
    DeduplicateInitializersPass,
    InlinePass,
    LiftConstantsToInitializersPass,
    NameFixPass,
    OutputFixPass,
    RemoveUnusedNodesPass,
)
from onnxscript.optimizer import fold_constants
from onnxscript.rewriter import RewritePass
from onnxscript.rewriter.rules import common as rules
from torch import Tensor, nn

from service.errors import ArtifactError

OPSET = 20
MAX_INLINE_BYTES = 1024 * 1024
MAX_BATCH = 1024

# What the optimizer of onnxscript does by itself takes two thirds of an export: its rule for slices that split a tensor
# goes through the whole graph at every node. These are the rules of its that find something in these networks.
SIMPLIFYING_RULES = (
    rules.materialize_reshape_shape_rule,
    rules.squeeze_reshape_1d_rule,
    rules.no_op_transpose_rule,
    rules.unsqueeze_unsqueeze_rule,
    rules.remove_optional_bias_from_conv_rule,
    rules.reshape_reshape_rule,
    rules.fuse_pad_into_conv_rule,
)
SIMPLIFYING_ROUNDS = 2  # what a rule makes constant is folded in the round after it

_DTYPES = {"F16": ir.DataType.FLOAT16, "F32": ir.DataType.FLOAT, "I64": ir.DataType.INT64}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a safetensors file holds a tensor: `offset` and `length` in bytes from the start of the file."""

    dtype: ir.DataType
    shape: tuple[int, ...]
    offset: int
    length: int


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """Read the places of all tensors from a safetensors header (little-endian length, JSON, data)."""
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        place = 8 + header_bytes + start
        tensors[name] = StoredTensor(_DTYPES[entry["dtype"]], tuple(entry["shape"]), place, end - start)
    return tensors


def write_graph(
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    axes: Mapping[str, str],
    outputs: Sequence[str],
    path: Path,
    weights: Path,
    *,
    prefix: str = "",
) -> None:
    """Export `network(*inputs)` to `path`, its parameters pointing into `weights`.

    The first axis of every input is free; `axes` names it, and those of one name are equal. `prefix` is what the
    network's parameter names have before the names in `weights`. `weights` must lie beside `path`. `ArtifactError`
    if the graph holds large values that `weights` does not.
    """
    model = _trace(network, inputs, axes, outputs)
    tensors = stored_tensors(weights)
    parameters = {
        value: tensors[name.removeprefix(prefix)]
        for name, value in model.graph.initializers.items()
        if name.removeprefix(prefix) in tensors
    }
    _optimize(model, list(parameters))
    for value, stored in parameters.items():
        _point_into(model.graph, value, stored, weights, prefix)
    DeduplicateInitializersPass(size_limit=MAX_INLINE_BYTES)(model)
    ClearMetadataAndDocStringPass()(model)  # the exporter notes file paths of this machine
    _require_small_rest(model.graph, path)
    ir.save(model, path)
    onnx.checker.check_model(path, full_check=True)


def _trace(
    network: nn.Module, inputs: Mapping[str, Tensor], axes: Mapping[str, str], outputs: Sequence[str]
) -> ir.Model:
    free = {axis: torch.export.Dim(axis, min=1, max=MAX_BATCH) for axis in axes.values()}
    shapes = tuple({0: free[axes[name]]} for name in inputs)
    with quiet_exporter():
        program = torch.onnx.export(
            network,
            tuple(inputs.values()),
            dynamo=True,
            optimize=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    model: ir.Model = program.model
    return model


def _optimize(model: ir.Model, parameters: list[ir.Value]) -> None:
    """Simplify the graph without touching a parameter: as inputs, they are nothing that could be folded."""
    for value in parameters:
        del model.graph.initializers[str(value.name)]
        value.const_value = None
        model.graph.inputs.append(value)
    _simplify(model)
    for value in parameters:
        model.graph.inputs.remove(value)


def _simplify(model: ir.Model) -> None:
    InlinePass()(model)
    for _ in range(SIMPLIFYING_ROUNDS):
        fold_constants(model, onnx_shape_inference=True)
        RewritePass(SIMPLIFYING_RULES)(model)
        RemoveUnusedNodesPass()(model)
    Sequential(
        LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        DeduplicateInitializersPass(),
        CommonSubexpressionEliminationPass(),
        OutputFixPass(),
        NameFixPass(),
    )(model)


def _point_into(graph: ir.Graph, value: ir.Value, stored: StoredTensor, weights: Path, prefix: str) -> None:
    """Give a parameter its bytes in `weights`; cast to fp32 what is stored in half precision."""
    if not value.uses():
        return
    value.name = str(value.name).removeprefix(prefix)
    tensor = ir.ExternalTensor(
        weights.name, stored.offset, stored.length, stored.dtype,
        shape=ir.Shape(stored.shape), name=value.name, base_dir=weights.parent,
    )  # fmt: skip
    if stored.dtype == ir.DataType.FLOAT16:
        half = ir.Value(
            name=value.name,
            type=ir.TensorType(stored.dtype),
            shape=ir.Shape(stored.shape),
            const_value=tensor,
        )
        cast = ir.node("Cast", [half], {"to": ir.DataType.FLOAT})
        cast.outputs[0].name = f"{value.name}.fp32"
        value.replace_all_uses_with(cast.outputs[0])
        graph.insert_before(graph[0], cast)
        graph.register_initializer(half)
    else:
        value.const_value = tensor
        graph.register_initializer(value)


def _require_small_rest(graph: ir.Graph, path: Path) -> None:
    inline = {
        name: value.const_value.nbytes
        for name, value in graph.initializers.items()
        if value.const_value is not None and not isinstance(value.const_value, ir.ExternalTensor)
    }
    if sum(inline.values()) > MAX_INLINE_BYTES:
        largest = max(inline, key=lambda name: inline[name])
        raise ArtifactError(
            f"{path.name} would hold {sum(inline.values())} bytes of values that are not in the weights "
            "file, "
            f"{MAX_INLINE_BYTES} are allowed; the largest is {largest} with {inline[largest]} bytes."
        )


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """The exporter warns about its own insides and about torchvision, which no network here uses."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
