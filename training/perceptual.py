"""Perceptual losses between clean latents: E-LatentLPIPS where it is installed, else features of decoded crops."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from service.engine.sampler import PredictionType
from service.model.autoencoder import Autoencoder
from training.balancing import linearised
from training.errors import RecipeError
from training.features import EfficientNetFeatures, feature_distance
from training.noising import clean_latents

PerceptualKind = Literal["auto", "e-latent-lpips", "features", "none"]
PACKAGE = "elatentlpips"


@dataclass(frozen=True, kw_only=True)
class PerceptualRecipe:
    """Which perceptual loss; features are those of `perceptual_stages` resolutions, compared on crops of
    `perceptual_crop` latents a side.
    """

    perceptual: PerceptualKind = "auto"
    perceptual_stages: int = 4
    perceptual_crop: int = 16


class DecodedFeatures(nn.Module):
    """Distance of EfficientNet-lite0 features of what the decoder makes of two latents, on a crop about the hole.

    Frozen. A crop of `crop` latents a side is decoded, not the whole picture, to save most of the time.
    """

    def __init__(self, autoencoder: Autoencoder, stages: int, crop: int) -> None:
        super().__init__()
        self.autoencoder = autoencoder.eval().requires_grad_(requires_grad=False)
        self.features = EfficientNetFeatures(stages)
        self.crop = crop

    def forward(self, predicted: Tensor, true: Tensor, mask: Tensor) -> Tensor:
        """Latents [B, 4, h, w], twice, and mask [B, 1, h, w] -> the mean distance, a scalar."""
        corners = [crop_corner(hole[0], self.crop) for hole in mask]
        with torch.no_grad():
            wanted = self.features(self.autoencoder.decode(self._cut(true, corners)))
        judged = self.features(self.autoencoder.decode(self._cut(predicted, corners)))
        return feature_distance(judged, wanted).mean()

    def _cut(self, latents: Tensor, corners: list[tuple[int, int]]) -> Tensor:
        side = self.crop
        cuts = zip(latents, corners, strict=True)
        return torch.stack([x[:, top : top + side, left : left + side] for x, (top, left) in cuts])


def crop_corner(hole: Tensor, side: int) -> tuple[int, int]:
    """Top and left of the square of `side` about the centre of a hole [h, w]'s cells, inside of the map."""
    cells = hole.nonzero()
    centre = cells.float().mean(0) if len(cells) else torch.tensor(hole.shape) / 2
    bounds = [extent - side for extent in hole.shape]
    top, left = (
        int(min(max(round(float(c) + 0.5 - side / 2), 0), bound))
        for c, bound in zip(centre, bounds, strict=True)
    )
    return top, left


class EnsembledLatentLPIPS(nn.Module):
    """E-LatentLPIPS (Kang et al. 2024, arXiv 2405.05967), which needs its package and a download.

    Its `normalize` is for latents that the autoencoder's factor has not scaled yet: ours it has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.distance = importlib.import_module(PACKAGE).ELatentLPIPS(encoder="sd15", augment="bg").eval()
        self.requires_grad_(requires_grad=False)

    def forward(self, predicted: Tensor, true: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002 - one signature
        """Latents [B, 4, h, w], twice -> the mean distance, a scalar."""
        distances: Tensor = self.distance(predicted, true, normalize=False)
        return distances.mean()


class PerceptualLoss:
    """A recipe's perceptual loss on a device, `distance`; None where it has none."""

    def __init__(
        self,
        recipe: PerceptualRecipe,
        autoencoder: Autoencoder | None,
        *,
        device: torch.device,
        log: Callable[[str], None],
    ) -> None:
        opened = open_perceptual_loss(recipe, autoencoder, log=log)
        self.distance = None if opened is None else opened.to(device)

    def of_prediction(
        self,
        noisy: Tensor,
        prediction: Tensor,
        alpha: Tensor,
        prediction_type: PredictionType,
        *,
        latents: Tensor,
        mask: Tensor,
    ) -> Tensor | None:
        """L_perc, between the clean latents that a prediction implies and the true ones, all [B, 4, h, w];
        `alpha` [B, 1, 1, 1], `mask` [B, 1, h, w].
        """
        if self.distance is None:
            return None
        apart = prediction.detach().requires_grad_()
        implied = clean_latents(noisy, apart, alpha, prediction_type)
        return linearised(self.distance(implied, latents, mask), apart, prediction)


def open_perceptual_loss(
    recipe: PerceptualRecipe, autoencoder: Autoencoder | None, *, log: Callable[[str], None]
) -> nn.Module | None:
    """The loss of a recipe; "auto" takes the best that can be had and says so in the log.

    Raises RecipeError where the recipe asks for one that can't be had.
    """
    kind = recipe.perceptual
    if kind in ("auto", "e-latent-lpips"):
        loss, missing = _latent_lpips()
        if loss is not None:
            log("perceptual loss: E-LatentLPIPS")
            return loss
        if kind == "e-latent-lpips":
            raise RecipeError(f"perceptual: E-LatentLPIPS can't be had: {missing}; or choose auto")
        log(f"perceptual loss: E-LatentLPIPS can't be had: {missing}")
    if kind == "none" or (kind == "auto" and autoencoder is None):
        log("perceptual loss: none" + ("" if kind == "none" else ", as the recipe names no autoencoder"))
        return None
    if autoencoder is None:
        raise RecipeError("perceptual: features needs `autoencoder`, the folder of its training run")
    log("perceptual loss: features of EfficientNet-lite0 on decoded crops")
    return DecodedFeatures(autoencoder, recipe.perceptual_stages, recipe.perceptual_crop)


def _latent_lpips() -> tuple[EnsembledLatentLPIPS | None, str]:
    """E-LatentLPIPS, or None and why it can't be had."""
    if importlib.util.find_spec(PACKAGE) is None:
        return None, f"it needs `pip install {PACKAGE}`"
    try:
        return EnsembledLatentLPIPS(), ""
    except Exception as error:
        return None, f"the package {PACKAGE} failed with {type(error).__name__}: {error}"
