"""What an engine says of itself: the model's part comes from its manifest."""

from __future__ import annotations

from service.artifacts import load_manifest, model_folder
from service.engine.base import EngineInfo
from service.settings import Settings


def test_a_stored_models_part_is_its_manifests() -> None:
    settings = Settings()
    manifest = load_manifest(model_folder(settings.model_store, settings.model))
    info = EngineInfo.of(manifest, backend="torch", device="cuda:1", precision="bf16")
    assert info == EngineInfo(
        manifest.name, "torch", "cuda:1", "bf16", manifest.image_size, manifest.prediction_type
    )
