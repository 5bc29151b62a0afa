"""Fills photos one after the other in this process, without a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from service.errors import InpaintError, InternalError
from service.inpaint_cli.picture_files import FileError, read_pictures, write_answer
from service.inpaint_cli.report import Report
from service.inpaint_cli.task import Filling, Outcome, Task, done, failed

if TYPE_CHECKING:
    from service.contracts import Result
    from service.engine.base import Engine
    from service.settings import Settings


def fill_here(settings: Settings, tasks: Sequence[Task], report: Report) -> None:
    """Fill all of them; what is wrong with one is told, and the rest goes on. The engine is opened for the first photo
    that can be read. Raises the errors of opening it.
    """
    engine: Engine | None = None
    try:
        for task in tasks:
            try:
                photo, mask = read_pictures(task)
            except FileError as error:
                report.tell(failed(task, error.code, str(error)), task)
                continue
            engine = engine or _opened(settings)
            report.tell(_filled(engine, task, photo, mask, settings.max_pixels, report), task)
    finally:
        if engine is not None:
            engine.close()


def _opened(settings: Settings) -> Engine:
    from service.engine.selection import open_engine

    return open_engine(settings)


def _filled(
    engine: Engine, task: Task, photo: bytes, mask: bytes, max_pixels: int, report: Report
) -> Outcome:
    from service.worker.fill import fill_picture

    on_step = _step_teller(report, task)
    try:
        result = fill_picture(engine, photo, mask, task.params, max_pixels=max_pixels, on_step=on_step)
        paths = write_answer(task, result.pictures, result.seeds, result.effective_mask)
    except InpaintError as error:
        return failed(task, error.code, error.detail)
    except FileError as error:
        return failed(task, error.code, str(error))
    except Exception as error:
        if report.alone:
            raise
        return failed(task, InternalError.code, f"A fault of ours: {type(error).__name__}: {error}")
    return done(task, paths, _filling(result))


def _step_teller(report: Report, task: Task) -> Callable[[int, int, float], None]:
    return lambda done, total, _seconds: report.step(task, done / total)


def _filling(result: Result) -> Filling:
    boxes = [(box.left, box.top, box.right, box.bottom) for box in result.boxes]
    return Filling(result.seeds, result.model, boxes, result.stages, result.notes)
