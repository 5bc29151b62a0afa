"""The shape of a published network is read off its weights."""

from __future__ import annotations

import pytest
import torch

from service.model.checkpoint import CheckpointMismatch
from service.model.config import FULL, NANO, TINY, UNetConfig
from service.model.published import infer_unet_config
from service.model.unet import MoebiusUNet
from tests.small_model import UNET


@pytest.mark.parametrize("config", [FULL, TINY, NANO, UNET], ids=["full", "tiny", "nano", "small"])
def test_every_configuration_is_found_again_in_its_state_dict(config: UNetConfig) -> None:
    with torch.device("meta"):
        state = MoebiusUNet(config).state_dict()
    assert infer_unet_config(state) == config


def test_weights_of_something_else_are_refused_with_what_is_missing() -> None:
    with pytest.raises(CheckpointMismatch, match=r"embedding_layer\.weight"):
        infer_unet_config({"encoder.weight": torch.zeros(1)})
