"""What there is to do in a folder: each photo with its mask and its output, and which of them are done already."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.contracts import Failure, Params
from service.inpaint_cli.parameter_options import with_seed
from service.inpaint_cli.picture_files import FORMAT_SUFFIXES, SUFFIX_FORMATS, is_picture
from service.inpaint_cli.task import Outcome, Task

MASK_ENDING = "_mask"


class UnknownMaskError(Exception):
    """It can't be told which mask a photo has; the text says why."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Photos below `photos`, their outputs at the same place below `outputs`.

    `masks` is one mask for all, a folder with a mask of each photo's name, or None: masks lie beside the photos, with
    `_mask` at the end of their names. `recursive`: folders in folders, too. `effective_masks`: a folder for those, each
    a PNG of its photo's name, or None.
    """

    photos: Path
    masks: Path | None
    outputs: Path
    recursive: bool = False
    effective_masks: Path | None = None

    def plan(self, params: Params, *, overwrite: bool) -> list[Task | Outcome]:
        """What is to do, in the order of names, and what can be told of a photo beforehand: skipped, or failed."""
        find_mask = self._mask_finder()
        taken: dict[Path, Path] = {}
        return [self._planned(photo, find_mask, params, taken, overwrite) for photo in self._photos()]

    def _planned(
        self, photo: Path, masks: MaskFinder, params: Params, taken: dict[Path, Path], overwrite: bool
    ) -> Task | Outcome:
        output = self._output(photo, params)
        try:
            mask = masks.mask_of(photo)
        except UnknownMaskError as error:
            return Outcome(photo, None, "failed", failure=Failure("mask_unknown", str(error)))
        effective = self._effective_mask(photo)
        for path in filter(None, (output, effective)):
            other = taken.setdefault(path, photo)
            if other != photo:
                detail = f"{other.name} is written to {path}, too. Name one of them differently."
                return Outcome(photo, mask, "failed", failure=Failure("output_taken", detail))
        there = done_outputs(output, params)
        if there and not overwrite:
            lacks = effective is not None and not effective.exists()
            return Outcome(photo, mask, "skipped", outputs=there, lacks_effective_mask=lacks)
        return Task(photo, mask, output, with_seed(params), effective)

    def _photos(self) -> list[Path]:
        apart = {
            path.resolve() for path in (self.outputs, self.masks, self.effective_masks) if path is not None
        }
        return sorted(
            path
            for path in pictures_below(self.photos, recursive=self.recursive)
            if not apart & {path.resolve(), *path.resolve().parents}
            and not (self.masks is None and path.stem.endswith(MASK_ENDING))
        )

    def _output(self, photo: Path, params: Params) -> Path:
        output = self.outputs / photo.relative_to(self.photos)
        wanted = params.output_format
        if wanted is None or SUFFIX_FORMATS.get(photo.suffix.lower()) == wanted:
            return output
        return output.with_suffix(FORMAT_SUFFIXES[wanted])

    def _effective_mask(self, photo: Path) -> Path | None:
        if self.effective_masks is None:
            return None
        return (self.effective_masks / photo.relative_to(self.photos)).with_suffix(".png")

    def _mask_finder(self) -> MaskFinder:
        if self.masks is not None and not self.masks.is_dir():
            return MaskFinder(self.photos, single=self.masks)
        return MaskFinder(self.photos, folder=self.masks, recursive=self.recursive)


class MaskFinder:
    """Finds the mask of a photo among the pictures of `folder`, beside the photo if None, or `single` for all."""

    def __init__(
        self, photos: Path, *, single: Path | None = None, folder: Path | None = None, recursive: bool = False
    ) -> None:
        self._photos = photos
        self._single = single
        self._folder = folder
        self._by_name: dict[tuple[Path, str], list[Path]] = defaultdict(list)
        root = folder or photos
        for path in () if single else pictures_below(root, recursive=recursive):
            self._by_name[path.parent, path.stem].append(path)

    def mask_of(self, photo: Path) -> Path:
        """Raises UnknownMaskError where there is none, or where several fit equally well."""
        if self._single is not None:
            return self._single
        place = photo.parent
        if self._folder is not None:
            place = self._folder / photo.parent.relative_to(self._photos)
        names = [photo.stem + MASK_ENDING] if self._folder is None else [photo.stem, photo.stem + MASK_ENDING]
        fitting = [path for name in names for path in self._by_name[place, name]]
        same_name = [path for path in fitting if path.name == photo.name]
        if len(same_name or fitting) == 1:
            return (same_name or fitting)[0]
        if not fitting:
            raise UnknownMaskError(f"There is no mask: {place / names[0]} with the suffix of a picture.")
        told = ", ".join(sorted(path.name for path in fitting))
        raise UnknownMaskError(f"Several masks fit, {told}: leave one in {place}.")


def pictures_below(folder: Path, *, recursive: bool) -> Iterator[Path]:
    """The files that are named as pictures are. Raises OSError."""
    return filter(is_picture, folder.rglob("*") if recursive else folder.iterdir())


def mask_beside(photo: Path) -> Path:
    """The mask of a photo alone: photo_mask.png for photo.jpg. Raises UnknownMaskError, and OSError."""
    return MaskFinder(photo.parent).mask_of(photo)


def done_outputs(output: Path, params: Params) -> tuple[Path, ...]:
    """The files that this photo has become earlier; empty unless all of its candidates are there."""
    if params.n == 1:
        return (output,) if output.exists() else ()
    if params.seed is not None:
        wanted = [output.with_stem(f"{output.stem}-{params.seed + index}") for index in range(params.n)]
        return tuple(wanted) if all(path.exists() for path in wanted) else ()
    pattern = re.compile(re.escape(output.stem) + r"-\d+" + re.escape(output.suffix))
    beside = output.parent.iterdir() if output.parent.is_dir() else ()
    found = sorted(path for path in beside if pattern.fullmatch(path.name))
    return tuple(found) if len(found) >= params.n else ()
