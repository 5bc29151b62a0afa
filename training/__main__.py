"""`python -m training JOB --config recipes/NAME.yaml`: the offline jobs by name."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

Recipe = TypeVar("Recipe")


def read_recipe(path: Path, section: str, kind: type[Recipe]) -> Recipe:
    """The recipe's section as its dataclass; paths are made from strings. An unknown key raises ValueError."""
    values: dict[str, Any] = yaml.safe_load(path.read_text())[section]
    types = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    unknown = set(values) - set(types)
    if unknown:
        raise ValueError(f"{path}: unknown settings in '{section}': {', '.join(sorted(unknown))}")
    return kind(**{name: _typed(types[name], value) for name, value in values.items()})


def _typed(kind: object, value: Any) -> Any:
    if kind == "Path":
        return Path(value)
    return tuple(value) if isinstance(value, list) else value


def train_autoencoder(config: Path) -> None:
    """Photographs -> a trained autoencoder."""
    from training.autoencoder import AutoencoderRecipe, AutoencoderTrainer

    AutoencoderTrainer(read_recipe(config, "autoencoder", AutoencoderRecipe)).run()


def encode_latents(config: Path) -> None:
    """Photographs and a trained autoencoder -> shards of latents."""
    from training.latents import LatentRecipe, encode_recipe

    encode_recipe(read_recipe(config, "latents", LatentRecipe))


def train_diffusion(config: Path) -> None:
    """Shards of latents -> a trained U-Net."""
    from training.diffusion import DiffusionRecipe, DiffusionTrainer

    DiffusionTrainer(read_recipe(config, "train", DiffusionRecipe)).run()


def release_model(config: Path) -> None:
    """A trained autoencoder and U-Net -> a model of the store."""
    from training.release import ReleaseRecipe, release

    release(read_recipe(config, "export", ReleaseRecipe))


def evaluate_model(config: Path) -> None:
    """A model of the store -> scores and a picture grid."""
    from training.evaluate import EvaluationRecipe, evaluate

    evaluate(read_recipe(config, "evaluate", EvaluationRecipe))


def write_card(config: Path) -> None:
    """Runs and scores -> MODEL_CARD.md beside the model."""
    from training.card import CardRecipe, write_model_card

    write_model_card(read_recipe(config, "card", CardRecipe))


JOBS = {
    "autoencoder": train_autoencoder,
    "latents": encode_latents,
    "train": train_diffusion,
    "export": release_model,
    "evaluate": evaluate_model,
    "card": write_card,
}


def main() -> None:
    """Run one job."""
    parser = argparse.ArgumentParser(prog="python -m training")
    parser.add_argument("job", choices=sorted(JOBS))
    parser.add_argument("--config", type=Path, required=True, help="a file of training/recipes/")
    arguments = parser.parse_args()
    JOBS[arguments.job](arguments.config)


if __name__ == "__main__":
    main()
