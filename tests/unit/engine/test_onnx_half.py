"""Which parts of a step are in half precision, and which stay in fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto

from service.engine.onnx_half import convert_to_half, nodes_in_fp32


@pytest.fixture(scope="module")
def half(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The small model's step, converted as it is stored: its constants are not folded yet."""
    target = tmp_path_factory.mktemp("half") / "half.onnx"
    convert_to_half(small_model / "unet.onnx", target)
    return onnx.load(target)


def readers(graph: Any, operator: str) -> list[Any]:
    return [node for node in graph.node if node.op_type == operator]


def element_types(graph: Any) -> dict[str, int]:
    """Of what the graph says the type of: inputs, constants, and the results of casts."""
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in readers(graph, "Cast"):
        (types[node.output[0]],) = [item.i for item in node.attribute if item.name == "to"]
    return types


def test_what_goes_in_and_out_stays_in_full_precision(half: Any) -> None:
    types = element_types(half.graph)
    for value in (*half.graph.input, *half.graph.output):
        assert types[value.name] in {TensorProto.FLOAT, TensorProto.INT64}, value.name


def test_filters_are_stored_in_half_precision(half: Any) -> None:
    types = element_types(half.graph)
    filters = [types[node.input[1]] for node in readers(half.graph, "Conv") if node.input[1] in types]
    assert filters
    assert set(filters) == {TensorProto.FLOAT16}


@pytest.mark.parametrize("operator", ["Softmax", "InstanceNormalization"])
def test_what_would_lose_by_it_reads_full_precision(half: Any, operator: str) -> None:
    types = element_types(half.graph)
    found = readers(half.graph, operator)
    assert found
    for node in found:
        assert types.get(node.input[0]) == TensorProto.FLOAT, node.name


def test_the_update_and_the_angles_are_named(small_model: Path) -> None:
    graph = onnx.load(small_model / "unet.onnx", load_external_data=False).graph
    kept = nodes_in_fp32(graph)
    by_output = {name: node for node in graph.node for name in node.output}
    for output in ("x_next", "clean_next"):
        node = by_output[output]
        assert node.name in kept
        assert all(by_output[name].name in kept for name in node.input if name in by_output)
    (sine,) = readers(graph, "Sin")
    assert sine.name in kept
    assert by_output[sine.input[0]].name in kept
    assert len(kept) < len(graph.node) / 4
