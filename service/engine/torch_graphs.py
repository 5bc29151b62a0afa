"""CUDA graphs of denoising steps: a step of known size is recorded once and replayed, for the price of one launch where
its thousand kernels would be launched one by one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from service.engine.out_of_memory import says_out_of_memory

logger = logging.getLogger(__name__)

Outputs = tuple[Tensor, Tensor]
Step = Callable[..., Outputs]  # with the arguments of denoising_step by name
Record = Callable[[Callable[[], Outputs]], tuple[Callable[[], object], Outputs]]
Size = tuple[int, int]  # samples and rows of the network's batch

RUNS_BEFORE_RECORDING = 2  # libraries choose their kernels and take their memory in the first


class StepGraphs:
    """A step that replays what was recorded of its size, and is computed anew where nothing was.

    A recording of more rows serves, too: the rows it has too many are computed and read by nobody.
    """

    def __init__(self, step: Step, record: Record) -> None:
        self._step = step
        self._record = record
        self._graphs: dict[Size, _RecordedStep] = {}

    @torch.inference_mode()
    def record(self, inputs: Mapping[str, Tensor]) -> None:
        """Record a step of the inputs' size. Raises what the device raises where there is no memory."""
        self._graphs[_size(inputs)] = _RecordedStep(self._step, inputs, self._record)

    @torch.inference_mode()
    def __call__(self, **inputs: Tensor) -> Outputs:
        """The next `x` and `clean`, not written to by later steps."""
        samples, rows = _size(inputs)
        fitting = [size for size in self._graphs if size[0] == samples and size[1] >= rows]
        if not fitting:
            return self._step(**inputs)
        size = min(fitting)
        unread = size[1] - rows  # rows of the first sample
        padded = {name: F.pad(inputs[name], (0, unread)) for name in ("source", "branch")}
        return self._graphs[size](inputs | padded)

    def record_all(self, examples: Iterable[Mapping[str, Tensor]]) -> None:
        """Record a step of each example, until there is no memory for one: from there on steps are computed anew."""
        for inputs in examples:
            try:
                self.record(inputs)
            except Exception as error:
                if not says_out_of_memory(error):
                    raise
                logger.warning("no memory for the graph of a step", extra={"batch": _size(inputs)[0]})
                return


class _RecordedStep:
    """A step between buffers that stay where they are."""

    def __init__(self, step: Step, inputs: Mapping[str, Tensor], record: Record) -> None:
        self._inputs = {name: tensor.clone() for name, tensor in inputs.items()}
        self._replay, self._outputs = record(lambda: step(**self._inputs))

    def __call__(self, inputs: Mapping[str, Tensor]) -> Outputs:
        for name, buffer in self._inputs.items():
            buffer.copy_(inputs[name])
        self._replay()
        x, clean = self._outputs
        return x.clone(), clean.clone()


class CudaRecorder:
    """Records into CUDA graphs that share one pool of memory, as no two of them are ever replayed at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None

    def __call__(self, run: Callable[[], Outputs]) -> tuple[Callable[[], object], Outputs]:
        """What replays `run`, and the tensors that it then fills."""
        beside = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(beside):
            for _ in range(RUNS_BEFORE_RECORDING):
                run()
        torch.cuda.current_stream(self._device).wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=beside, capture_error_mode="thread_local"):
            outputs = run()
        self._pool = graph.pool()
        return graph.replay, outputs


def _size(inputs: Mapping[str, Tensor]) -> Size:
    return len(inputs["x"]), len(inputs["source"])
