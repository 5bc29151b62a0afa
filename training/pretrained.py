"""Networks that a run starts from, as a folder of a training run holds them or as they are published."""

from __future__ import annotations

from pathlib import Path

from service.model.checkpoint import load_strictly, read_state
from service.model.registry import WEIGHT_FILES, import_unet
from service.model.unet import MoebiusUNet
from training.checkpoints import CHECKPOINT, averaged_teacher, averaged_unet
from training.errors import DataError
from training.teacher import PixelHackerUNet
from training.teacher_config import FULL_TEACHER


def pretrained_student(folder: Path) -> MoebiusUNet:
    """The averaged U-Net of a run, or published Moebius weights. Raises DataError for neither."""
    try:
        return averaged_unet(folder) if _is_run(folder) else import_unet(folder)
    except (ValueError, RuntimeError) as error:
        raise _unfit(folder, "a Moebius U-Net", error) from error


def pretrained_teacher(folder: Path) -> PixelHackerUNet:
    """The averaged teacher of a run, or published PixelHacker weights. Raises DataError for neither."""
    try:
        if _is_run(folder):
            return averaged_teacher(folder)
        network = PixelHackerUNet(FULL_TEACHER)
        load_strictly(network, read_state(_weights(folder)))
    except (ValueError, RuntimeError) as error:
        raise _unfit(folder, "a PixelHacker U-Net", error) from error
    return network.eval()


def _is_run(folder: Path) -> bool:
    """Whether the folder is a run's, and not one of published weights. Raises DataError if it is neither."""
    if (folder / CHECKPOINT).exists():
        return True
    if any((folder / name).exists() for name in WEIGHT_FILES):
        return False
    raise DataError(
        f"{folder} holds neither a run's {CHECKPOINT} nor published weights ({' or '.join(WEIGHT_FILES)}): "
        "run the job that writes it first, or download the weights into it"
    )


def _unfit(folder: Path, wanted: str, error: Exception) -> DataError:
    if isinstance(error, DataError):
        return error
    return DataError(f"what is in {folder} is not {wanted}: {error}")


def _weights(folder: Path) -> Path:
    return next(folder / name for name in WEIGHT_FILES if (folder / name).exists())
