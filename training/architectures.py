"""The denoising networks that a recipe can name, and what a fresh one starts as."""

from __future__ import annotations

from typing import Literal

import torch

from service.model.config import FULL, NANO, TINY
from service.model.unet import MoebiusUNet
from training.teacher import PixelHackerUNet
from training.teacher_config import FULL_TEACHER, NANO_TEACHER, TINY_TEACHER

Architecture = Literal[
    "moebius", "moebius-nano", "moebius-tiny", "pixelhacker", "pixelhacker-nano", "pixelhacker-tiny"
]
DenoisingNetwork = MoebiusUNet | PixelHackerUNet

STUDENTS = {"moebius": FULL, "moebius-nano": NANO, "moebius-tiny": TINY}
TEACHERS = {"pixelhacker": FULL_TEACHER, "pixelhacker-nano": NANO_TEACHER, "pixelhacker-tiny": TINY_TEACHER}


def fresh_network(architecture: Architecture) -> DenoisingNetwork:
    """A network with weights drawn by PyTorch's generator, started quietly."""
    network: DenoisingNetwork
    if architecture in STUDENTS:
        network = MoebiusUNet(STUDENTS[architecture])
    else:
        network = PixelHackerUNet(TEACHERS[architecture])
    start_quietly(network)
    return network


@torch.no_grad()
def start_quietly(network: DenoisingNetwork) -> None:
    """Start every lambda or transformer block as the identity and the prediction near zero: a short run has no steps
    to spare on shrinking a gain from one.
    """
    for name, parameter in network.named_parameters():
        if name.endswith(("proj_out.weight", "conv_out.weight")):
            parameter.zero_()
        if name.endswith("conv_out.bn2.weight"):
            parameter.fill_(0.1)
