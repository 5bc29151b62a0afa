"""The tasks that the command's arguments ask for. What can't be is wrong usage, and exits with 2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.command import fail
from service.contracts import Params
from service.exit_codes import EXIT_USAGE
from service.inpaint_cli.folder import Folder, UnknownMaskError, mask_beside
from service.inpaint_cli.parameter_options import with_seed
from service.inpaint_cli.picture_files import SUFFIX_FORMATS
from service.inpaint_cli.task import Outcome, Task


def single_task(image: Path, mask: Path | None, output: Path, params: Params) -> Task:
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
    return Task(image, mask, output, params)


def _check_suffix(image: Path, output: Path) -> None:
    """A format that can't be asked for is written only where it is the photo's own."""
    suffix = output.suffix.lower()
    if suffix and suffix not in SUFFIX_FORMATS and suffix != image.suffix.lower():
        allowed = ", ".join(dict.fromkeys([*SUFFIX_FORMATS, image.suffix.lower()]))
        fail(f"{output.name} ends with {suffix}; allowed for this photo: {allowed}.", EXIT_USAGE)


def folder_plan(
    images: Path, masks: Path | None, outputs: Path, recursive: bool, overwrite: bool, params: Params
) -> Sequence[Task | Outcome]:
    """The photos of a folder; makes the folders that they are written to."""
    if outputs.exists() and not outputs.is_dir():
        fail(
            f"{images} is a folder, so {outputs} must be one, and is a file. Name another with -o.",
            EXIT_USAGE,
        )
    if outputs.resolve() == images.resolve():
        fail(f"The photos would be written over those in {images}. Name another folder with -o.", EXIT_USAGE)
    if masks is not None and not masks.exists():
        fail(f"There is no mask or folder of masks {masks}.", EXIT_USAGE)
    apart = None if masks is not None and masks.resolve() == images.resolve() else masks
    plan = Folder(images, apart, outputs, recursive).plan(params, overwrite=overwrite)
    if not plan:
        fail(f"There are no photos in {images}.", EXIT_USAGE)
    for folder in {task.output.parent for task in plan if isinstance(task, Task)}:
        folder.mkdir(parents=True, exist_ok=True)
    return plan
