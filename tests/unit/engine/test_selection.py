"""Which engine opens for which settings, and what is said when none can."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.engine import selection
from service.engine.selection import open_engine
from service.errors import ArtifactError
from service.settings import Settings


def test_the_dummy_needs_no_model(tmp_path: Path) -> None:
    engine = open_engine(Settings(backend="dummy", model_store=tmp_path))
    assert engine.info.backend == "dummy"


def test_a_backend_that_is_not_installed_is_named_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selection, "find_spec", lambda _: None)
    with pytest.raises(ArtifactError, match=r"onnxruntime and torch not installed.*pip install"):
        open_engine(Settings())


def test_auto_prefers_the_first_backend_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "find_spec", lambda name: object() if name == "torch" else None)
    assert selection.installed_backend("auto") == "torch"
