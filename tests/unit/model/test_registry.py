"""Networks from their JSON configurations."""

from __future__ import annotations

import json

import pytest

from service.model.autoencoder import Autoencoder
from service.model.config import TINY, AutoencoderKLConfig
from service.model.nano_autoencoder import NanoAutoencoder, NanoAutoencoderConfig
from service.model.registry import build_autoencoder, build_unet
from service.model.vae import AutoencoderKL


def test_a_unet_is_built_from_its_configuration() -> None:
    assert build_unet(json.loads(json.dumps(TINY.to_dict()))).config == TINY


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (AutoencoderKLConfig(channels=(32, 64)), AutoencoderKL),
        (NanoAutoencoderConfig(width=8), NanoAutoencoder),
    ],
)
def test_each_type_of_autoencoder_is_built_from_its_configuration(
    config: AutoencoderKLConfig | NanoAutoencoderConfig, kind: type[Autoencoder]
) -> None:
    network = build_autoencoder(json.loads(json.dumps(config.to_dict())))
    assert isinstance(network, kind)
    assert network.config == config


@pytest.mark.parametrize("values", [{}, {"type": "vq"}])
def test_an_unknown_type_of_autoencoder_is_refused_with_those_there_are(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"type must be one of \['autoencoder_kl', 'nano'\]"):
        build_autoencoder(values)


def test_a_wrong_field_is_named() -> None:
    with pytest.raises(ValueError, match="widht"):
        build_autoencoder({"type": "autoencoder_kl", "widht": 1})
