"""The tasks that the command's arguments ask for. What can't be is wrong usage, and exits with 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from service.command import fail
from service.contracts import Params
from service.exit_codes import EXIT_USAGE
from service.inpaint_cli.folder import Folder, UnknownMaskError, mask_beside
from service.inpaint_cli.parameter_options import with_seed
from service.inpaint_cli.picture_files import SUFFIX_FORMATS
from service.inpaint_cli.task import Outcome, Task


def single_task(
    image: Path, mask: Path | None, output: Path, effective_mask: Path | None, params: Params
) -> Task:
    """A photo alone; its format is that of the name that it is written to."""
    output = output / image.name if output.is_dir() else output
    _check_suffix(image, output)
    params = with_seed(params)
    if params.output_format is None:
        params = params.model_copy(update={"output_format": SUFFIX_FORMATS.get(output.suffix.lower())})
    if mask is None:
        try:
            mask = mask_beside(image)
        except UnknownMaskError as error:
            fail(f"{error} Or name the mask: moebius inpaint IN MASK -o OUT", EXIT_USAGE)
    return Task(image, mask, output, params, _single_effective_mask(effective_mask, image, mask, output))


def _single_effective_mask(path: Path | None, image: Path, mask: Path, output: Path) -> Path | None:
    if path is None:
        return None
    path = path / f"{image.stem}.png" if path.is_dir() else path
    if path.suffix.lower() not in ("", ".png"):
        fail(
            f"{path.name} ends with {path.suffix}, and the effective mask is a PNG. Name it .png.", EXIT_USAGE
        )
    if path.resolve() in {other.resolve() for other in (image, mask, output)}:
        fail(
            f"The effective mask would be written over {path}. Name another with --effective-mask.",
            EXIT_USAGE,
        )
    return path


def _check_suffix(image: Path, output: Path) -> None:
    """A format that can't be asked for is written only where it is the photo's own."""
    suffix = output.suffix.lower()
    if suffix and suffix not in SUFFIX_FORMATS and suffix != image.suffix.lower():
        allowed = ", ".join(dict.fromkeys([*SUFFIX_FORMATS, image.suffix.lower()]))
        fail(f"{output.name} ends with {suffix}; allowed for this photo: {allowed}.", EXIT_USAGE)


def folder_plan(folder: Folder, overwrite: bool, params: Params) -> Sequence[Task | Outcome]:
    """The photos of a folder; makes the folders that they are written to."""
    images, masks, outputs = folder.photos, folder.masks, folder.outputs
    if outputs.exists() and not outputs.is_dir():
        fail(
            f"{images} is a folder, so {outputs} must be one, and is a file. Name another with -o.",
            EXIT_USAGE,
        )
    if outputs.resolve() == images.resolve():
        fail(f"The photos would be written over those in {images}. Name another folder with -o.", EXIT_USAGE)
    if masks is not None and not masks.exists():
        fail(f"There is no mask or folder of masks {masks}.", EXIT_USAGE)
    _check_effective_masks(folder)
    if masks is not None and masks.resolve() == images.resolve():
        folder = replace(folder, masks=None)
    plan = folder.plan(params, overwrite=overwrite)
    if not plan:
        fail(f"There are no photos in {images}.", EXIT_USAGE)
    tasks = [task for task in plan if isinstance(task, Task)]
    written = {
        path.parent for task in tasks for path in (task.output, task.effective_mask) if path is not None
    }
    for place in written:
        place.mkdir(parents=True, exist_ok=True)
    return plan


def _check_effective_masks(folder: Folder) -> None:
    path = folder.effective_masks
    if path is None:
        return
    if path.exists() and not path.is_dir():
        fail(f"{folder.photos} is a folder, so {path} must be one, and is a file. Name a folder.", EXIT_USAGE)
    others = (folder.photos, folder.masks, folder.outputs)
    if path.resolve() in {other.resolve() for other in others if other is not None}:
        fail(
            f"The effective masks would lie among the files in {path}. Name a folder of their own.",
            EXIT_USAGE,
        )
