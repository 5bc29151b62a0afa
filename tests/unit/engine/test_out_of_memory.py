"""A device without memory says so by one error, whatever its backend raised, and no state has moved."""

from __future__ import annotations

import pytest
import torch
from onnx import TensorProto, helper

from service.engine.base import DeviceOutOfMemory
from service.engine.out_of_memory import device_memory, says_out_of_memory

TOO_MANY = 2**47  # numbers; their bytes are more than any address space has


def run_in_onnxruntime(count: int, *, arena: bool) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    graph = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
            helper.make_node("Neg", ["zeros"], ["output"]),
        ],
        "many_zeros",
        [helper.make_tensor_value_info("shape", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = arena
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    session.run(None, {"shape": torch.tensor([count]).numpy()})


@pytest.mark.parametrize("arena", [True, False])
def test_onnxruntime_without_memory_is_understood(arena: bool) -> None:
    with pytest.raises(DeviceOutOfMemory), device_memory():
        run_in_onnxruntime(TOO_MANY, arena=arena)


def test_another_error_of_onnxruntime_stays_what_it_is() -> None:
    with pytest.raises(Exception, match="ConstantOfShape") as caught, device_memory():
        run_in_onnxruntime(-5, arena=True)
    assert not isinstance(caught.value, DeviceOutOfMemory)


def test_pytorch_without_memory_on_a_cpu_is_understood() -> None:
    with pytest.raises(DeviceOutOfMemory), device_memory():
        torch.empty(TOO_MANY)


def test_numpy_without_memory_is_understood() -> None:
    with pytest.raises(DeviceOutOfMemory), device_memory():
        raise MemoryError


# Nodes fail with the same types; these are the words that the GPU libraries add.
@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity"
        ),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; file=cuda_allocator.cc"),
        RuntimeError("Available memory of 1048576 is smaller than requested bytes of 4194304"),
    ],
)
def test_a_gpus_words_for_it_are_understood(error: Exception) -> None:
    assert says_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        ValueError("noise must be [4, 4, 4], got [3, 4, 4]"),
    ],
)
def test_another_failure_of_a_device_is_not_taken_for_it(error: Exception) -> None:
    assert not says_out_of_memory(error)


def test_the_backends_own_error_stays_the_cause() -> None:
    cause = MemoryError("no room")
    with pytest.raises(DeviceOutOfMemory, match="no room") as caught, device_memory():
        raise cause
    assert caught.value.__cause__ is cause
