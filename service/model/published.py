"""Reads the shape of a published U-Net off its weights: the published layout holds no configuration of it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt

from torch import Tensor

from service.model.checkpoint import CheckpointMismatch
from service.model.config import UNetConfig

TOKENS = "embedding_layer.weight"
DEPTHWISE_IN = "diff_model.conv_in.conv_dw.weight"
POINTWISE_OUT = "diff_model.conv_out.conv_pw.weight"
PROJECTION = "diff_model.encoder_hid_proj.weight"
LEVEL_BIAS = "diff_model.down_blocks.{}.resnets.0.time_emb_proj.bias"
LAYER_BIAS = "diff_model.down_blocks.0.resnets.{}.time_emb_proj.bias"
FIRST_LLMI = "diff_model.down_blocks.0.attentions.0.transformer_blocks.0"
POSITION_TABLE = f"{FIRST_LLMI}.attn2.rel_pos_emb"
POSITION_FILTERS = f"{FIRST_LLMI}.attn1.pos_conv.weight"
FFN_OUT = f"{FIRST_LLMI}.ff.point_conv.conv.weight"
TELLING = (
    TOKENS,
    DEPTHWISE_IN,
    POINTWISE_OUT,
    PROJECTION,
    LEVEL_BIAS.format(0),
    POSITION_TABLE,
    POSITION_FILTERS,
    FFN_OUT,
)


def infer_unet_config(state: Mapping[str, Tensor]) -> UNetConfig:
    """The configuration that a U-Net's state dict was made with; its norm groups are taken as published.

    `CheckpointMismatch` names entries without which this is no Moebius U-Net.
    """
    missing = [name for name in TELLING if name not in state]
    if missing:
        raise CheckpointMismatch(missing, [], [])
    token_count, token_width = state[TOKENS].shape
    positions, tokens_per_prompt, key_width, _ = state[POSITION_TABLE].shape  # [n, L, k, 1]
    channels = tuple(len(state[LEVEL_BIAS.format(level)]) for level in range(_count(state, LEVEL_BIAS)))
    return UNetConfig(
        in_channels=state[DEPTHWISE_IN].shape[0],
        out_channels=state[POINTWISE_OUT].shape[0],
        sample_size=isqrt(positions),
        channels=channels,
        layers_per_level=_count(state, LAYER_BIAS),
        heads=channels[0] // key_width,
        token_count=token_count,
        tokens_per_prompt=tokens_per_prompt,
        token_width=token_width,
        cross_width=state[PROJECTION].shape[0],
        ffn_ratio=state[FFN_OUT].shape[1] / channels[0],
        position_kernel=state[POSITION_FILTERS].shape[-1],
    )


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    count = 0
    while pattern.format(count) in state:
        count += 1
    return count
