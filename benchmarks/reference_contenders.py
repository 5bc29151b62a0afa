"""What the comparison with the published order times: that order and the service's engines, with the same tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.engine_choices import EngineChoice
from benchmarks.engine_tasks import Task, decoding, encoding, guided_step, picture_after, whole_picture
from benchmarks.published_pipeline import PublishedPipeline
from benchmarks.reference_report import PUBLISHED
from service.engine.base import Array


@dataclass(frozen=True, slots=True)
class Contender:
    """What is compared, ours or theirs: makers of its tasks, and the picture that it has after the first step."""

    name: str
    guided_step: Callable[[int], Task]
    encoding: Callable[[], Task]
    decoding: Callable[[], Task]
    whole_picture: Callable[[], Task]
    after_a_step: Callable[[], Array]


def published(folder: Path, device: str, *, threads: int, steps: int) -> Contender:
    """The published order, with the model's weights."""
    torch.set_num_threads(threads)
    pipeline = PublishedPipeline(folder, device)
    return Contender(
        name=PUBLISHED,
        guided_step=pipeline.guided_step,
        encoding=pipeline.encoding,
        decoding=pipeline.decoding,
        whole_picture=lambda: pipeline.whole_picture(steps),
        after_a_step=lambda: pipeline.picture(steps, taken=1),
    )


def ours(choice: EngineChoice, folder: Path, *, max_batch: int, threads: int, steps: int) -> Contender:
    """An engine of the service on the model."""
    engine = choice.open(folder.name, threads=threads, max_batch=max_batch, model_store=folder.parent)
    engine.warmup()
    return Contender(
        name=choice.computing,
        guided_step=lambda count: guided_step(engine, count),
        encoding=lambda: encoding(engine),
        decoding=lambda: decoding(engine),
        whole_picture=lambda: whole_picture(engine, steps),
        after_a_step=lambda: picture_after(engine, steps, 1),
    )
