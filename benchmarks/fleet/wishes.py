"""The workers that would claim, and for how many places: one of them can be drawn without looking at all."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from random import Random
from typing import Generic, TypeVar

Worker = TypeVar("Worker", bound=Hashable)


class Wishes(Generic[Worker]):
    """Places by worker; a worker without any is not in it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._workers: list[Worker] = []
        self._places: dict[Worker, int] = {}
        self._index: dict[Worker, int] = {}

    def __len__(self) -> int:
        return len(self._workers)

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers)

    def set(self, worker: Worker, places: int) -> None:
        """Replace what this worker wished before."""
        if worker in self._index and not places:
            self.take(worker)
        elif places:
            if worker not in self._index:
                self._index[worker] = len(self._workers)
                self._workers.append(worker)
            self._places[worker] = places

    def any(self) -> Worker:
        """One of them, each as likely as the others. IndexError where nobody wishes."""
        return self._random.choice(self._workers)

    def take(self, worker: Worker) -> int:
        """Its places; it is not in here any more. KeyError where it was not."""
        position = self._index.pop(worker)
        last = self._workers.pop()
        if last is not worker:
            self._workers[position] = last
            self._index[last] = position
        return self._places.pop(worker)
