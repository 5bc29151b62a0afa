"""One job's encoded candidates, collected from the threads that encode them."""

from __future__ import annotations

import threading

from service.imaging.encode import EncodedPicture


class Answer:
    """Complete once it has the pictures of all `candidates`."""

    def __init__(self, candidates: int) -> None:
        self._candidates = candidates
        self._lock = threading.Lock()
        self._pictures: dict[int, EncodedPicture] = {}
        self.seconds = 0.0

    @property
    def pictures(self) -> list[EncodedPicture]:
        """In the order of the candidates."""
        return [self._pictures[candidate] for candidate in sorted(self._pictures)]

    def add(self, candidate: int, picture: EncodedPicture, seconds: float) -> bool:
        """Note a candidate that took `seconds` to encode; True for the one that completes it."""
        with self._lock:
            self._pictures[candidate] = picture
            self.seconds += seconds
            return len(self._pictures) == self._candidates
