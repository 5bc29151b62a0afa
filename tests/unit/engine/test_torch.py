"""What the PyTorch backend tells of its device's memory; the GPU's counters are stood in for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from service.engine.torch import TorchEngine


def engine_on(device: str) -> TorchEngine:
    engine = object.__new__(TorchEngine)  # no model: only the device is asked for
    vars(engine)["_networks"] = SimpleNamespace(device=torch.device(device))
    return engine


def test_a_gpu_tells_what_is_allocated_and_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100 + device.index)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 200 + device.index)
    assert engine_on("cuda:3").memory_bytes() == {"allocated": 103, "reserved": 203}


def test_a_cpu_tells_nothing() -> None:
    assert engine_on("cpu").memory_bytes() == {}
