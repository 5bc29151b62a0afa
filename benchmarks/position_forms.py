"""The ways to compute a Local-lambda's position term, on the runtimes that a benchmark compares them on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from service.model.inference.positions import ConvolvedPositions, Positions, TiledPositions
from service.model.onnx_graph import quiet_exporter

PUBLISHED = "published order: convolution, einsum"
TILES = (2, 4, 8)  # positions a side
LARGEST_DENSE_SIDE = 32  # of 64 the filters alone are 2.7 GB
CPU_RUNTIMES = ("onnxruntime, cpu", "torch, cpu")
GPU_RUNTIME = "torch fp16, cuda"


@dataclass(frozen=True, slots=True)
class Level:
    """The position term of a level of the U-Net: maps of `side` x `side`, key and value channels a head."""

    side: int
    width: int
    heads: int
    kernel: int

    def inputs(self, batch: int) -> tuple[Tensor, Tensor]:
        """Queries [B, n, h, k] and values [B, n, v]."""
        generator = torch.Generator().manual_seed(self.side)
        shape = batch, self.side**2
        q = torch.randn(*shape, self.heads, self.width, generator=generator) / self.width**0.5
        return q, torch.randn(*shape, self.width, generator=generator)

    def filters(self) -> Tensor:
        """Random ones [k, kernel, kernel]."""
        generator = torch.Generator().manual_seed(1)
        return torch.randn(self.width, self.kernel, self.kernel, generator=generator) / self.kernel


@dataclass(frozen=True)
class PublishedPositions:
    """Every value map convolved with the k filters, [k, 1, kernel, kernel], and an einsum over what comes of it."""

    side: int
    filters: Tensor

    def __call__(self, q: Tensor, v: Tensor) -> Tensor:
        """Queries [B, n, h, k] and values [B, n, v] to [B, n, h * v]."""
        batch, positions, values = v.shape
        maps = v.transpose(1, 2).reshape(-1, 1, self.side, self.side)
        lambdas = F.conv2d(maps, self.filters, padding=self.filters.shape[-1] // 2)
        lambdas = lambdas.reshape(batch, values, -1, positions)  # [B, v, k, n]
        y = torch.einsum("bhkn,bvkn->bhvn", q.permute(0, 2, 3, 1), lambdas)
        return y.permute(0, 3, 1, 2).reshape(batch, positions, -1)


def forms(level: Level, filters: Tensor) -> dict[str, Positions]:
    """Each way by its name, the published one first; the fused kernel where the filters are on a GPU."""
    side = level.side
    found: dict[str, Positions] = {
        PUBLISHED: PublishedPositions(side, filters[:, None]),
        "convolution, then products": ConvolvedPositions(side, filters[:, None]),
    }
    found |= {f"tiles of {tile}": TiledPositions.of(filters, side, tile) for tile in TILES if tile < side}
    if side <= LARGEST_DENSE_SIDE:
        found["dense"] = TiledPositions.of(filters, side, side)
    if filters.is_cuda and find_spec("triton") is not None:
        from service.model.inference.triton_positions import FusedPositions

        found["fused kernel"] = FusedPositions.of(filters, side)
    return found


def calls(level: Level, runtime: str, batch: int, threads: int) -> Mapping[str, Callable[[], np.ndarray]]:
    """What computes the term once in each way on a runtime, and answers [B, n, h * v]."""
    q, v = level.inputs(batch)
    filters = level.filters()
    if runtime == GPU_RUNTIME:
        q, v, filters = (tensor.half().cuda() for tensor in (q, v, filters))
    ways = forms(level, filters)
    if runtime.startswith("onnxruntime"):
        return {name: _on_onnxruntime(form, q, v, threads) for name, form in ways.items()}
    return {name: _on_torch(form, q, v) for name, form in ways.items()}


def _on_torch(form: Positions, q: Tensor, v: Tensor) -> Callable[[], np.ndarray]:
    @torch.inference_mode()
    def call() -> np.ndarray:
        y = form(q, v)
        if y.is_cuda:
            torch.cuda.synchronize()  # the copy to the host is the same for every way
        return np.asarray(y.float().cpu().numpy())

    return call


def _on_onnxruntime(form: Positions, q: Tensor, v: Tensor, threads: int) -> Callable[[], np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "positions.onnx"
        with quiet_exporter():
            program = torch.onnx.export(_Network(form).eval(), (q, v), dynamo=True, verbose=False)
        assert program is not None
        program.save(path, external_data=True)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    inputs = dict(zip(names, (q.numpy(), v.numpy()), strict=True))
    return lambda: np.asarray(session.run(None, inputs)[0])


class _Network(nn.Module):
    """A form as an exporter takes it; its tensors become constants of the graph."""

    def __init__(self, form: Positions) -> None:
        super().__init__()
        self.form = form

    def forward(self, q: Tensor, v: Tensor) -> Tensor:
        return self.form(q, v)
