"""Opens the data path of a recipe in whichever of the three forms it is: JSON lines, a folder, WebDataset shards."""

from __future__ import annotations

from pathlib import Path

from training.categories import category_of
from training.errors import DataError
from training.json_lines import JsonLines
from training.listed_picture import PictureList
from training.picture_folder import PictureFolder
from training.tar_shards import TarShards, find_shards

JSON_LINES_SUFFIXES = (".jsonl", ".ndjson", ".json")
FORMS = (
    "a JSON-lines file (.jsonl), a folder of pictures or of .tar shards, a .tar, or a pattern of them such as "
    "shard-{000000..000099}.tar"
)


def open_picture_list(
    path: Path, *, masks: Path | None = None, prompt: str = "background", index_folder: Path | None = None
) -> PictureList:
    """The list at `path`. `masks` is a folder of masks for a folder of pictures; `prompt` is that of pictures that
    have none of their own: those of a folder, and of shards without prompts. Raises DataError as each form does.
    """
    category = category_of(prompt, f"the setting 'prompt' for {path}")
    shards = sorted(path.glob("*.tar")) if path.is_dir() else []
    if path.is_dir() and not shards:
        return PictureFolder(path, masks=masks, category=category)
    if masks is not None:
        raise DataError(
            f"the setting 'masks' ({masks}) goes with a folder of pictures; {path} names its own masks"
        )
    if shards or path.suffix == ".tar":
        return TarShards(shards or find_shards(path), category=category, index_folder=index_folder)
    if not path.is_file():
        raise DataError(f"there is no {path}: give {FORMS}")
    if path.suffix in JSON_LINES_SUFFIXES:
        return JsonLines(path)
    raise DataError(f"{path} is none of the forms of training data: give {FORMS}")
