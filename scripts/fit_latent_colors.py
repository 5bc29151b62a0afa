"""Fits the colours that a stored model's previews are made with on photographs, and writes them into its manifest.

    python -m scripts.fit_latent_colors moebius-nano --photos FOLDER

Any few dozen photographs do. A tenth of them is kept aside, and tells how much of their cells' colours the map misses,
before and after.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from service.artifacts import VAE_ENCODER_GRAPH, model_folder, save_manifest, verify
from service.denoising import Array
from service.model.latent_colors import fit_latent_colors, unexplained_share
from service.settings import default_model_store

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
KEPT_ASIDE = 10  # every tenth


def photographs(folder: Path, size: int) -> list[Array]:
    """The middle squares of a folder's photographs, by name, made `size` pixels by area: [3, size, size] in [-1, 1]."""
    return [_square(path, size) for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]


def _square(path: Path, size: int) -> Array:
    with Image.open(path) as photo:
        rgb = photo.convert("RGB")
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    small = rgb.resize((size, size), Image.Resampling.BOX, box=(left, top, left + side, top + side))
    return np.moveaxis(np.asarray(small, np.float32) / 127.5 - 1, 2, 0)


def fit(folder: Path, photos: Path) -> None:
    """Fit the model in `folder`, and say how well."""
    manifest = verify(folder)
    encoder = onnxruntime.InferenceSession(folder / VAE_ENCODER_GRAPH, providers=["CPUExecutionProvider"])

    def encode(images: Array) -> Array:
        latents: Array = encoder.run(None, {"images": images})[0]
        return latents

    pictures = photographs(photos, manifest.image_size)
    if len(pictures) < KEPT_ASIDE:
        sys.exit(f"{photos} holds {len(pictures)} photographs; at least {KEPT_ASIDE} are needed.")
    aside = pictures[::KEPT_ASIDE]
    fitted = fit_latent_colors(
        encode, [picture for index, picture in enumerate(pictures) if index % KEPT_ASIDE]
    )
    for name, colors in (("before", manifest.latent_colors), ("after", fitted)):
        if colors is not None:
            print(f"{name}: {unexplained_share(colors, encode, aside):.4f} of the variance missed")
    save_manifest(manifest.model_copy(update={"latent_colors": fitted}), folder)
    print(f"{manifest.name}: fitted on {len(pictures) - len(aside)} photographs")


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", help="a model of the store")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--model-store", type=Path, default=default_model_store())
    options = parser.parse_args()
    fit(model_folder(options.model_store, options.model), options.photos)
    return 0


if __name__ == "__main__":
    sys.exit(main())
