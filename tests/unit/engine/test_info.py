"""What an engine says of itself: the model's part comes from its manifest."""

from __future__ import annotations

from service.artifacts import FewStepSampling, load_manifest, model_folder
from service.engine.base import EngineInfo
from service.settings import Settings


def test_a_stored_models_part_is_its_manifests() -> None:
    settings = Settings()
    manifest = load_manifest(model_folder(settings.model_store, settings.model))
    info = EngineInfo.of(manifest, backend="torch", device="cuda:1", precision="bf16")
    assert info == EngineInfo(
        manifest.name,
        "torch",
        "cuda:1",
        "bf16",
        manifest.image_size,
        manifest.prediction_type,
        latent_colors=manifest.latent_colors,
    )


def test_an_ordinary_model_leaves_steps_and_guidance_to_the_request() -> None:
    info = EngineInfo("m", "torch", "cpu", "fp32", 64, "epsilon")
    assert (info.default_steps, info.allowed_steps, info.guidance_scale) == (20, None, 2.0)
    assert not info.is_distilled


def test_a_few_step_models_numbers_are_its_own() -> None:
    sampling = FewStepSampling(timesteps=(999, 499), guidance_scale=3.5)
    info = EngineInfo("m", "torch", "cpu", "fp32", 64, "epsilon", sampling)
    assert (info.default_steps, info.allowed_steps, info.guidance_scale) == (2, (2,), 3.5)
    assert info.is_distilled
