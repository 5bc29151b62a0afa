"""A backend proves at load that it computes what was exported."""

from __future__ import annotations

import numpy as np
import pytest

from service.denoising import Array, LatentBatch, StepRows, update
from service.errors import ArtifactError
from service.probe import ModelShape, Probe, check_probe, probe_noise, run_probe

SHAPE = ModelShape(image_size=16, latent_downscale=8, in_channels=9, latent_channels=4)


class Arithmetic:
    """Stands for a model; `error` is added to one primitive."""

    def __init__(self, wrong: str = "", error: float = 0.0) -> None:
        self.wrong = wrong
        self.error = error

    def vae_encode(self, images: Array) -> Array:
        return images[:, :1, ::8, ::8].repeat(4, axis=1) + self._error("latents")

    def denoise_step(self, batch: LatentBatch, rows: StepRows) -> LatentBatch:
        scale = (1 + rows.timesteps / 1000 + rows.branch).astype(np.float32)
        with np.errstate(invalid="ignore"):  # infinities, of a broken device
            return update(batch, rows, batch.x * scale[:, None, None, None] + self._error("noise"))

    def vae_decode(self, latents: Array) -> Array:
        return latents[:, :3].repeat(8, axis=2).repeat(8, axis=3) + self._error("picture")

    def _error(self, name: str) -> np.float32:
        return np.float32(self.error if name == self.wrong else 0)


@pytest.fixture
def expected() -> Probe:
    return Probe.of(run_probe(Arithmetic(), SHAPE))


def test_a_backend_that_agrees_is_accepted(expected: Probe) -> None:
    check_probe(expected, Arithmetic(), SHAPE, precision="fp32")


@pytest.mark.parametrize("name", ["noise", "latents", "picture"])
@pytest.mark.parametrize("error", [5.0, float("nan"), float("inf")])
def test_a_backend_with_other_numbers_is_refused_by_name(expected: Probe, name: str, error: float) -> None:
    with pytest.raises(ArtifactError, match=f"its {name} on the fixed input"):
        check_probe(expected, Arithmetic(name, error), SHAPE, precision="fp32")


def test_half_precision_may_round(expected: Probe) -> None:
    rounded = Arithmetic("noise", 0.05)
    check_probe(expected, rounded, SHAPE, precision="fp16")
    with pytest.raises(ArtifactError):
        check_probe(expected, rounded, SHAPE, precision="fp32")


def test_a_sample_is_the_same_in_every_batch() -> None:
    alone, together = (probe_noise(Arithmetic(), SHAPE, batch=batch) for batch in (1, 3))
    assert np.array_equal(alone[0], together[0])
    assert not np.array_equal(together[0], together[1])


def test_the_numbers_survive_json(expected: Probe) -> None:
    assert Probe.model_validate_json(expected.model_dump_json()) == expected
