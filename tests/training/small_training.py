"""The jobs on the smallest networks, in a process of their own:
`python -m tests.training.small_training JOB --config X`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
import yaml

from service.model.nano_autoencoder import NanoAutoencoder
from service.model.unet import MoebiusUNet
from tests.small_model import UNET, fill, small_autoencoder
from training.__main__ import main
from training.architectures import STUDENTS, TEACHERS
from training.checkpoints import CHECKPOINT, save_checkpoint
from training.diffusion import DiffusionRecipe
from training.teacher import PixelHackerUNet
from training.teacher_config import TeacherConfig

ARCHITECTURE = "moebius-nano"
TEACHER_ARCHITECTURE = "pixelhacker-nano"
# With one channel a group, as UNET has, a norm takes out what is added before it: gradients of rounding alone.
STUDENT = replace(UNET, norm_groups=8)
# One level more than the student, and as wide where the two are compared.
TEACHER = TeacherConfig(
    sample_size=8, channels=(32, 64, 64), layers_per_level=1, token_width=32, cross_width=16
)

Settings = dict[str, object]


def settings(**changes: object) -> Settings:
    """The loop's settings for the smallest network, but for its folders."""
    loop = {"architecture": ARCHITECTURE, "batch": 4, "sample_every": 0, "matrix_learning_rate": 0.005}
    return loop | {"vector_learning_rate": 0.003} | changes


def small_recipe(latents: Path, output: Path, **changes: object) -> DiffusionRecipe:
    """A recipe on the smallest network."""
    return DiffusionRecipe(latents=latents, output=output, **settings(**changes))  # type: ignore[arg-type]


def write_recipe(path: Path, latents: Path, output: Path, **changes: object) -> Path:
    """The same recipe as a file."""
    return write_sections(path, {"train": settings(latents=latents, output=output, **changes)})


def write_sections(path: Path, sections: Mapping[str, object]) -> Path:
    """A recipe file; the paths in its sections are written as text."""
    path.write_text(yaml.safe_dump(yaml_values(sections)))
    return path


def yaml_values(value: object) -> object:
    """The same with text for every path."""
    if isinstance(value, Mapping):
        return {name: yaml_values(item) for name, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def write_run(folder: Path, network: MoebiusUNet | PixelHackerUNet | NanoAutoencoder) -> Path:
    """What others read of a finished run of the network."""
    folder.mkdir(parents=True)
    state = {"average": network.state_dict(), "config": network.config.to_dict()}
    save_checkpoint(folder / CHECKPOINT, state)
    return folder


class Distillation:
    """Sections of both kinds of distillation, with all that they read in one folder.

    The U-Net that `few_step` speeds up is where `distil` starts from too: no layer of it is zero.
    """

    def __init__(self, latents: Path, folder: Path) -> None:
        self.common: Settings = {
            "latents": latents,
            "autoencoder": write_run(folder / "autoencoder", small_autoencoder()),
            "perceptual": "features",
            "perceptual_stages": 1,
            "perceptual_crop": 4,
            "tensorboard": False,
        }
        self.teacher = write_run(folder / "teacher", fill(PixelHackerUNet(TEACHER), seed=3))
        self.unet = write_run(folder / "unet", fill(MoebiusUNet(STUDENT), seed=1))

    def distil(self, output: Path, **changes: object) -> Settings:
        """All four losses."""
        return settings(**self.common, output=output, teacher=self.teacher, initial=self.unet, **changes)

    def few_step(self, output: Path, **changes: object) -> Settings:
        """Two steps, from a guided teacher's four."""
        prediction = {"prediction_type": "v_prediction", "timesteps": [999, 499], "teacher_steps": 2}
        return settings(**self.common, **prediction, output=output, teacher=self.unet, **changes)


if __name__ == "__main__":
    STUDENTS[ARCHITECTURE] = STUDENT
    TEACHERS[TEACHER_ARCHITECTURE] = TEACHER
    torch.set_num_threads(1)
    sys.exit(main())
