"""Has photos filled by a service, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from moebius_client import (
    AsyncClient,
    JobEvent,
    MoebiusError,
    Result,
    Retry,
    ServiceError,
    Unauthenticated,
)
from service.errors import Unavailable
from service.inpaint_cli.picture_files import FileError, read_pictures, write_answer
from service.inpaint_cli.report import Report
from service.inpaint_cli.task import Filling, Outcome, Task, done, failed

JOB_TIMEOUT = 3600.0  # seconds; Ctrl-C ends a job before
PATIENT = Retry(attempts=10, longest_retry_after=600)
ONCE = Retry(attempts=1)


def fill_there(server: str, tasks: Sequence[Task], report: Report, *, parallel: int) -> None:
    """Have all of them filled, `parallel` at a time; what is wrong with one is told, and the rest goes on.

    Raises Unavailable where the service can't be reached or lets nobody in: the other photos would fare no better. Jobs
    under way are cancelled then, and where the caller is interrupted.
    """
    try:
        asyncio.run(_fill_all(server, tasks, report, parallel))
    except MoebiusError as error:
        raise Unavailable(str(error)) from error


async def _fill_all(server: str, tasks: Sequence[Task], report: Report, parallel: int) -> None:
    async with AsyncClient(server, retry=ONCE) as client:
        await client.models()  # a wrong address is told at once, without the patience of what follows
    waiting = iter(tasks)
    async with AsyncClient(server, timeout=JOB_TIMEOUT, retry=PATIENT) as client:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(parallel, len(tasks))):
                    group.create_task(_work(client, waiting, report))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None


async def _work(client: AsyncClient, waiting: Iterator[Task], report: Report) -> None:
    """Photos one after the other, as long as there are any; others work beside this one."""
    for task in waiting:
        report.tell(await _filled(client, task, report), task)


async def _filled(client: AsyncClient, task: Task, report: Report) -> Outcome:
    """Raises the errors that every photo would have."""

    def progress(event: JobEvent) -> None:
        report.step(task, event.fraction)

    parameters = task.params.model_dump(mode="json", exclude_unset=True)
    try:
        photo, mask = read_pictures(task)
        result = await client.inpaint(photo, mask, progress=progress, **parameters)
        pictures = [bytes(each) for each in result.candidates]
        paths = write_answer(task, pictures, result.seeds, result.effective_mask)
    except Unauthenticated:
        raise
    except (FileError, ServiceError) as error:
        return failed(task, error.code, str(error))
    return done(task, paths, _filling(result))


def _filling(result: Result) -> Filling:
    return Filling(result.seeds, result.model, result.boxes, result.stages, result.notes)
