"""What the settings refuse."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from service.settings import Settings


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_a_device_that_engines_know_is_taken(device: str) -> None:
    assert Settings(device=device).device == device


@pytest.mark.parametrize(
    "device", ["", "foo", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0\n", "CUDA", "cpu:1"]
)
def test_any_other_device_is_refused_with_those_allowed(device: str) -> None:
    with pytest.raises(ValidationError, match="must be auto, cpu, cuda or cuda:N"):
        Settings(device=device)


def test_a_device_of_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOEBIUS_DEVICE", "foo")
    with pytest.raises(ValidationError, match="must be auto, cpu, cuda or cuda:N"):
        Settings()
