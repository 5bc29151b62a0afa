"""Chooses and opens the engine that the settings ask for; a backend is imported only when it is the one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from service.engine.base import Engine
from service.errors import ArtifactError
from service.settings import Settings
from service.start_stages import start_stage

if TYPE_CHECKING:
    from service.artifacts import Manifest

BACKEND_MODULES = {"onnxruntime": "onnxruntime", "torch": "torch"}  # in order of preference


def open_engine(settings: Settings) -> Engine:
    """Load `settings.model` on `settings.backend`. `ArtifactError` if the model or the backend is missing."""
    if settings.backend == "dummy":
        from service.engine.dummy import DummyEngine

        return DummyEngine(settings)
    backend = installed_backend(settings.backend)
    from service.artifacts import model_folder, verify

    folder = model_folder(settings.model_store, settings.model)
    with start_stage("verify"):
        manifest = verify(folder)
    return _open(backend, folder, settings, manifest)


def installed_backend(wanted: str) -> str:
    """The wanted backend, or for "auto" the first one installed; `ArtifactError` if it isn't there."""
    candidates = list(BACKEND_MODULES) if wanted == "auto" else [wanted]
    for backend in candidates:
        if find_spec(BACKEND_MODULES[backend]) is not None:
            return backend
    raise ArtifactError(
        f"No backend to run a model with: {' and '.join(candidates)} not installed. "
        "Install one with pip install 'moebius[cpu]', 'moebius[gpu]' or 'moebius[torch]'."
    )


def _open(backend: str, folder: Path, settings: Settings, manifest: Manifest) -> Engine:
    if backend == "torch":
        from service.engine.torch import TorchEngine

        return TorchEngine(folder, manifest, settings)
    from service.engine.onnx import OnnxEngine

    return OnnxEngine(folder, manifest, settings)
