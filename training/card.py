"""Writes a model's card: what it is, what it was trained on and how, how it measures, and where it fails."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import matplotlib as mpl
import numpy as np
from PIL import Image

from service.artifacts import MODEL_CARD, Manifest, load_manifest

mpl.use("Agg")

LOSSES_PICTURE = "losses.png"
GRID_PICTURE = "grid.jpg"
SOURCES = "SOURCES.tsv"
TEMPLATE = Path(__file__).with_name("model_card.md")
SOURCE_COLUMNS = ("source_package", "version", "source_path", "licence", "author", "licence_basis")


@dataclass(frozen=True)
class CardRecipe:
    """Where the runs, the evaluation, the photographs' SOURCES.tsv and the model lie, and who speaks of its limits."""

    autoencoder: Path
    unet: Path
    evaluation: Path
    sources: Path
    store: Path
    name: str
    batch: int
    autoencoder_batch: int
    training_hardware: str
    limits: Path


def read_losses(path: Path) -> dict[str, list[float]]:
    """Columns of a losses.csv by name."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def running_mean(values: list[float], width: int) -> list[float]:
    """Mean over windows of `width`, shorter at the start."""
    sums = np.cumsum([0.0, *values])
    starts = np.maximum(np.arange(1, len(sums)) - width, 0)
    ends = np.arange(1, len(sums))
    return list((sums[ends] - sums[starts]) / (ends - starts))


def plot_losses(recipe: CardRecipe, path: Path) -> None:
    """The loss curves of both runs as one picture."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
    for axis, run, title in zip(
        axes, (recipe.autoencoder, recipe.unet), ("autoencoder", "U-Net"), strict=True
    ):
        losses = read_losses(run / "losses.csv")
        steps = losses.pop("step")
        for name, values in losses.items():
            axis.plot(steps, running_mean(values, 50), label=name)
        axis.set(title=title, xlabel="step", ylabel="loss, mean of 50 steps", yscale="log")
        axis.legend()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


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


def score_table(scores: list[dict[str, Any]]) -> str:
    """The scores as a Markdown table, the best of each kind of hole in bold."""
    lines = [
        "| holes | method | PSNR in the hole, dB (more is better) | SSIM in the hole (more) "
        "| feature distance (less) | Frechet feature distance (less) | seconds a picture |",
        "|---|---|---|---|---|---|---|",
    ]
    better = {"psnr": max, "ssim": max, "feature_distance": min, "frechet": min}
    digits = {"psnr": 2, "ssim": 3, "feature_distance": 4, "frechet": 2}
    for kind in dict.fromkeys(row["kind"] for row in scores):
        of_kind = [row for row in scores if row["kind"] == kind]
        best = {name: pick(row[name] for row in of_kind) for name, pick in better.items()}
        for row in of_kind:
            cells = [f"{row[name]:.{digits[name]}f}" for name in better]
            marked = [
                f"**{cell}**" if row[name] == best[name] else cell
                for cell, name in zip(cells, better, strict=True)
            ]
            lines.append(f"| {kind} | {row['method']} | {' | '.join(marked)} | {row['seconds']:.2f} |")
    return "\n".join(lines)


def comparison(scores: list[dict[str, Any]], name: str) -> str:
    """One line a rival: by how much the model's feature distance is below or above, over all holes."""
    overall = {row["method"]: row["feature_distance"] for row in scores if row["kind"] == "all"}
    ours = overall.pop(name)
    lines = []
    for rival, distance in overall.items():
        share = 100 * (distance - ours) / distance
        word = "below" if share >= 0 else "above"
        lines.append(f"- feature distance to the true photograph {abs(share):.1f} % {word} {rival}'s")
    return "\n".join(lines)


def _steps(run: Path) -> int:
    return int(read_losses(run / "losses.csv")["step"][-1]) + 1


def _render(
    recipe: CardRecipe, manifest: Manifest, licences: Counter[str], scores: list[dict[str, Any]]
) -> str:
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=manifest.name,
        image_size=manifest.image_size,
        latent_size=manifest.image_size // manifest.latent_downscale,
        channels=" / ".join(map(str, manifest.config["unet"]["channels"])),
        prediction_type=manifest.prediction_type,
        precision=manifest.precision,
        licence=manifest.licence,
        autoencoder_steps=_steps(recipe.autoencoder),
        autoencoder_batch=recipe.autoencoder_batch,
        unet_steps=_steps(recipe.unet),
        batch=recipe.batch,
        hardware=recipe.training_hardware,
        losses_picture=LOSSES_PICTURE,
        grid_picture=GRID_PICTURE,
        sources=SOURCES,
        scores=score_table(scores),
        comparison=comparison(scores, manifest.name),
        licences="\n".join(f"| {name} | {count} |" for name, count in licences.most_common()),
        limits=recipe.limits.read_text(encoding="utf-8").strip(),
    )


def write_model_card(recipe: CardRecipe) -> None:
    """Write MODEL_CARD.md with its loss curves, picture grid and list of sources into the model's folder."""
    folder = recipe.store / recipe.name
    plot_losses(recipe, folder / LOSSES_PICTURE)
    with Image.open(recipe.evaluation / "grid.png") as grid:
        grid.save(folder / GRID_PICTURE, quality=88)
    licences = copy_sources(recipe, folder / SOURCES)
    scores = json.loads((recipe.evaluation / "scores.json").read_text(encoding="utf-8"))
    text = _render(recipe, load_manifest(folder), licences, scores)
    (folder / MODEL_CARD).write_text(text, encoding="utf-8")
