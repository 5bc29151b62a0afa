"""Writes a model's card: what it is, the stages that it was made in and on what, how it measures beside OpenCV, its
sibling and the model before it, and where it fails.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from PIL import Image
from pydantic.dataclasses import dataclass

from service.artifacts import MODEL_CARD, FewStepSampling, Manifest, load_manifest
from training.errors import RecipeError
from training.loss_curves import draw_curves, read_losses
from training.tables import before_and_after_table, comparison, markdown_table, score_table

LOSSES_PICTURE = "losses.png"
GRID_PICTURE = "grid.jpg"
SOURCES = "SOURCES.tsv"
TEMPLATE = Path(__file__).with_name("model_card.md")
SOURCE_COLUMNS = ("source_package", "version", "source_path", "licence", "author", "licence_basis")
PANELS_A_ROW = 2


@dataclass(frozen=True, config={"extra": "forbid"})
class Stage:
    """One run that the model is made of: `run` is its folder with losses.csv, `batch` its pictures a step, `what` says
    in a few words what was trained by which loss. A stage without `run` has neither steps nor a curve.
    """

    name: str
    what: str
    batch: int
    run: Path | None = None

    @property
    def steps(self) -> str:
        """Steps that the run has come."""
        return "-" if self.run is None else str(read_losses(self.run / "losses.csv").steps_run)


@dataclass(frozen=True, config={"extra": "forbid"})
class CardRecipe:
    """Where the model, the runs of its stages, the evaluation and the photographs' SOURCES.tsv lie.

    `before` is the scores.json of an earlier model, `before_model` its name there if it is another. `made_by` names
    the recipe and its jobs; `limits` is a file that speaks of the model's limits.
    """

    stages: tuple[Stage, ...]
    evaluation: Path
    sources: Path
    store: Path
    name: str
    training_hardware: str
    made_by: str
    limits: Path
    before: Path | None = None
    before_model: str = ""


def plot_losses(stages: Sequence[Stage], path: Path) -> bool:
    """The loss curves of all stages as one picture, a panel a stage; False if no stage has a run."""
    from matplotlib import pyplot

    runs = [(stage.name, stage.run) for stage in stages if stage.run is not None]
    if not runs:
        return False
    columns = min(PANELS_A_ROW, len(runs))
    rows = -(-len(runs) // columns)
    figure, panels = pyplot.subplots(
        rows, columns, figsize=(5 * columns, 3.5 * rows), layout="constrained", squeeze=False
    )
    for panel in panels.flat[len(runs) :]:
        panel.remove()
    for panel, (name, run) in zip(panels.flat, runs, strict=False):
        curves = read_losses(run / "losses.csv")
        draw_curves(panel, curves.steps, curves.losses)
        panel.set(title=name, ylabel="loss, mean of 50 steps")
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
    return True


def copy_sources(recipe: CardRecipe, path: Path) -> Counter[str]:
    """Write the pictures trained on, one row a source picture, with author and licence; files a licence."""
    with recipe.sources.open(newline="", encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file, delimiter="\t")
            if row["file"].startswith(("train/", "cutouts/"))
        ]
    unique = sorted({tuple(row[column] for column in SOURCE_COLUMNS) for row in rows})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(SOURCE_COLUMNS)
        writer.writerows(unique)
    return Counter(row["licence"] for row in rows)


def stage_table(stages: Sequence[Stage]) -> str:
    """The stages in their order, with steps and batch."""
    rows = [[stage.name, stage.steps, str(stage.batch), stage.what] for stage in stages]
    return markdown_table(["stage", "steps", "batch", "what"], rows)


def sampling_sentence(sampling: FewStepSampling | None) -> str:
    """How a few-step model is sampled; nothing of an ordinary one."""
    if sampling is None:
        return "Steps and guidance scale are the request's choice."
    timesteps = ", ".join(map(str, sampling.timesteps))
    return (
        f"Distilled to {len(sampling.timesteps)} steps (timesteps {timesteps}) and to guidance scale "
        f"{sampling.guidance_scale:g}: one forward a step, {len(sampling.timesteps)} a picture."
    )


def before_and_after(recipe: CardRecipe, scores: Sequence[dict[str, Any]]) -> str:
    """The earlier model's scores beside this one's, over the same holes; nothing if there is no earlier one.

    Raises RecipeError when the earlier scores do not hold the model that the recipe names.
    """
    if recipe.before is None:
        return ""
    name = recipe.before_model or recipe.name
    rows = json.loads(recipe.before.read_text(encoding="utf-8"))
    before = [row for row in rows if row["method"] == name]
    if not before:
        known = ", ".join(dict.fromkeys(row["method"] for row in rows))
        raise RecipeError(f"{recipe.before} has no scores of {name}: set before_model to one of {known}")
    after = [row for row in scores if row["method"] == recipe.name]
    old, new = before[0]["forwards"], after[0]["forwards"]
    said = f"The earlier model ({name}, {old} forwards a picture) and this one ({new}), over the same holes:"
    return f"### Before and after\n{said}\n\n{before_and_after_table(before, after)}"


def read_scores(recipe: CardRecipe) -> list[dict[str, Any]]:
    """The evaluation's scores. Raises RecipeError when the model is not among what was measured."""
    path = recipe.evaluation / "scores.json"
    scores: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    measured = list(dict.fromkeys(row["method"] for row in scores))
    if recipe.name not in measured:
        raise RecipeError(
            f"{path} has no scores of {recipe.name}, only of {', '.join(measured)}: evaluate it"
        )
    return scores


def _render(
    recipe: CardRecipe,
    manifest: Manifest,
    licences: Counter[str],
    scores: list[dict[str, Any]],
    *,
    has_curves: bool,
) -> str:
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=manifest.name,
        image_size=manifest.image_size,
        latent_size=manifest.image_size // manifest.latent_downscale,
        channels=" / ".join(map(str, manifest.config["unet"]["channels"])),
        prediction_type=manifest.prediction_type,
        precision=manifest.precision,
        licence=manifest.licence,
        sampling=sampling_sentence(manifest.sampling),
        made_by=recipe.made_by,
        stages=stage_table(recipe.stages),
        hardware=recipe.training_hardware,
        curves=f"![loss curves]({LOSSES_PICTURE})" if has_curves else "",
        grid_picture=GRID_PICTURE,
        methods=", ".join(dict.fromkeys(row["method"] for row in scores)),
        sources=SOURCES,
        scores=score_table(scores),
        comparison=comparison(scores, manifest.name),
        before_and_after=before_and_after(recipe, scores),
        licences="\n".join(f"| {name} | {count} |" for name, count in licences.most_common()),
        limits=recipe.limits.read_text(encoding="utf-8").strip(),
    )
    return re.sub(r"\n{3,}", "\n\n", text)  # where a part is empty


def write_model_card(recipe: CardRecipe) -> None:
    """Write MODEL_CARD.md with its loss curves, picture grid and list of sources into the model's folder."""
    folder = recipe.store / recipe.name
    scores, manifest = read_scores(recipe), load_manifest(folder)
    has_curves = plot_losses(recipe.stages, folder / LOSSES_PICTURE)
    with Image.open(recipe.evaluation / "grid.png") as grid:
        grid.save(folder / GRID_PICTURE, quality=88)
    licences = copy_sources(recipe, folder / SOURCES)
    text = _render(recipe, manifest, licences, scores, has_curves=has_curves)
    (folder / MODEL_CARD).write_text(text, encoding="utf-8")
