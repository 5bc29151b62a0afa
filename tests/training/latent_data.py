"""Small data for the `latents` job: pictures, an autoencoder's run, and recipes on them."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from service.model.config import AutoencoderKLConfig
from service.model.vae import AutoencoderKL
from tests.small_model import fill, small_autoencoder
from tests.training.picture_files import grey, square_mask, truncated_jpeg, write_files
from training.checkpoints import save_checkpoint
from training.latent_recipe import LatentRecipe

SIDE = 64
LATENT_SIDE = 8
# Bad ones among them: 3 and 5.
PICTURES = 8


def write_pictures(folder: Path) -> Path:
    """A list of seven scenes and one object; returns its file."""
    files = {f"{index}.png": grey(20 * index + 40) for index in range(PICTURES)}
    files |= {"3.png": truncated_jpeg(), "5.png": b"no picture", "mask.png": square_mask()}
    write_files(folder, files)
    rows: list[dict[str, str]] = [
        {"image": f"{index}.png", "prompt": "background"} for index in range(PICTURES - 1)
    ]
    rows.append({"image": f"{PICTURES - 1}.png", "mask": "mask.png", "prompt": "foreground"})
    path = folder / "list.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def write_autoencoder(folder: Path) -> Path:
    """A finished training run's folder, of the smallest autoencoder."""
    folder.mkdir(parents=True, exist_ok=True)
    network = small_autoencoder()
    state = {"average": network.state_dict(), "config": network.config.to_dict()}
    save_checkpoint(folder / "checkpoint.pt", state)
    return folder


def write_published_autoencoder(folder: Path, *, levels: int = 4) -> Path:
    """An `AutoencoderKL` in diffusers' format with random weights; each level but the last halves the side."""
    folder.mkdir(parents=True, exist_ok=True)
    channels = (8,) * levels
    network = fill(AutoencoderKL(AutoencoderKLConfig(channels=channels, layers_per_level=1, norm_groups=4)))
    values = {"block_out_channels": channels, "layers_per_block": 1, "norm_num_groups": 4}
    (folder / "config.json").write_text(json.dumps({**values, "scaling_factor": 0.18215}))
    save_file(network.state_dict(), folder / "diffusion_pytorch_model.safetensors")
    return folder


def small_recipe(folder: Path, **changes: object) -> LatentRecipe:
    """A recipe on data that it writes into the folder, unless they are there."""
    photos = folder / "pictures" / "list.jsonl"
    settings: dict[str, object] = {
        "photos": photos if photos.exists() else write_pictures(folder / "pictures"),
        "autoencoder": folder / "autoencoder",
        "output": folder / "latents",
        "size": 4,
        "side": SIDE,
    }
    if not (folder / "autoencoder").exists():
        write_autoencoder(folder / "autoencoder")
    return LatentRecipe(**(settings | changes))  # type: ignore[arg-type]
